"""Rounds of contenders: a wrong result fails the benchmark, and the others are measured; goals come from the rates."""

import io
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks import catching_up
from benchmarks.catching_up import BEST, NAIVE, ONE, QUIX, TWO, TWO_CLAIMED, add_computed, compare
from benchmarks.environment import Environment
from benchmarks.measurement import Contender, Failed, Measurement, NotMeasured, Results, measure

ENVIRONMENT = Environment("", "", "bare-rows", 200, 100, 25, 1.0)


def returns(*rates: float, view: str = "same", topic: str = "t") -> Callable[[], Measurement]:
    results = iter(rates)
    return lambda: Measurement(next(results), view=(topic, view))


def raises(error: Exception) -> Callable[[], Measurement]:
    def run() -> Measurement:
        raise error

    return run


def rounds(*contenders: Contender, number: int = 1) -> Results:
    return measure(contenders, number, Console(file=io.StringIO()))


@pytest.mark.parametrize("error", [Failed("it wrote 3 rows, expected 4"), ZeroDivisionError("a bug")])
def test_wrong_result_is_failure_and_others_are_measured(error: Exception) -> None:
    results = rounds(Contender("wrong", raises(error)), Contender("right", returns(10, 20)), number=2)
    assert results.rates == {"right": [10, 20]}
    assert len(results.failures) == 1
    assert str(error) in results.failures[0]


def test_other_view_of_same_topic_is_failure() -> None:
    other = Contender("rebuild", returns(3, view="other"))
    results = rounds(Contender("one", returns(1)), other, Contender("debezium", returns(2, view="x", topic="d")))
    assert list(results.measured) == ["one", "debezium"]
    assert results.failures == ["rebuild: FAILED: the view is not that of the contender before: other, before same"]


def test_contender_that_cannot_run_is_no_failure() -> None:
    results = rounds(Contender("peer", raises(NotMeasured("no network"))), number=2)
    assert (results.missing, results.failures) == ({"peer": "not measured: no network"}, [])


def test_contender_that_fails_in_second_round_has_no_rate() -> None:
    results = rounds(Contender("one", returns(1)), number=2)  # the second round has no value
    assert results.rates == {}


def test_some_run_in_first_round_only() -> None:
    results = rounds(Contender("once", returns(1), once=True), Contender("each", returns(1, 2)), number=2)
    assert results.rates == {"once": [1], "each": [1, 2]}


def test_better_of_one_and_two_members_counts_in_each_round() -> None:
    two = [Measurement(3, after_claims=6), Measurement(5, after_claims=7)]
    results = Results({ONE: [Measurement(4, after_claims=4)] * 2, TWO: two, QUIX: [Measurement(2), Measurement(4)]})
    add_computed(results)
    assert results.rates[BEST] == [4, 5]
    assert results.rates[TWO_CLAIMED] == [6, 7]
    goals = {goal.name: goal for goal in compare(results.rates)}
    assert goals["one member / Quix Streams, one process"].values == [2, 1]
    assert goals["two members / one, after every partition is claimed"].row[1:] == [
        "≥ 1.2",
        "1.62 (1.50 to 1.75)",
        "reached",
    ]
    assert goals["one member / the naive way"].reached is None


def test_without_rate_after_claims_goal_is_not_measured() -> None:
    results = Results({ONE: [Measurement(4, after_claims=4)], TWO: [Measurement(3)]})
    add_computed(results)
    assert TWO_CLAIMED in results.missing
    assert results.rates[BEST] == [4]


@pytest.mark.parametrize(("run", "code"), [(returns(3, view="other"), 1), (returns(3), 0)], ids=["wrong", "right"])
def test_wrong_view_ends_benchmark_with_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Callable[[], Measurement], code: int
) -> None:
    @contextmanager
    def servers(_: Path) -> Iterator[Any]:
        yield Namespace(versions={})

    written: dict[str, Any] = {}
    contenders = [Contender(ONE, returns(4)), Contender("rebuild", run), Contender(NAIVE, returns(1))]
    monkeypatch.setattr(catching_up, "start_servers", servers)
    monkeypatch.setattr(catching_up, "_recorded", lambda *_: ((ENVIRONMENT,), contenders))
    monkeypatch.setattr(catching_up, "_demo", lambda *_: (ENVIRONMENT, []))
    monkeypatch.setattr(catching_up, "write_results", lambda name, results, _: written.update({name: results}))
    output = io.StringIO()
    try:
        catching_up.main(Namespace(rounds=1), Console(file=output, width=130), tmp_path)
        ended: Any = 0
    except SystemExit as exit_:
        ended = exit_.code
    assert ended == (
        0 if not code else "rebuild: FAILED: the view is not that of the contender before: other, before same"
    )
    assert NAIVE in output.getvalue()
    assert written["catching_up"]["events_per_second"]["the recording"][NAIVE]
