"""The profile's rows add up to the time that passed, and its timers sit where the work is done."""

from types import ModuleType

import pytest

from benchmarks.profile import REST, ROWS, time_all
from benchmarks.stopwatch import Stopwatch
from projector.contract import translate
from projector.kafka.consumer import GroupConsumer
from projector.projection import transaction
from projector.worker import loop


def test_every_moment_is_charged_to_the_innermost_function_and_all_of_them_add_up() -> None:
    now = [0.0]
    work = ModuleType("work")

    def takes(seconds: float) -> None:
        now[0] += seconds

    def outer() -> None:
        takes(1)
        work.inner()
        takes(2)

    vars(work).update(outer=outer, inner=lambda: takes(4))
    watch = Stopwatch("rest", clock=lambda: now[0])
    watch.time(work, "outer", "outside")
    watch.time(work, "inner", "inside")
    takes(8)
    work.outer()
    takes(16)
    assert watch.stop() == 31
    assert watch.seconds == {"rest": 24, "outside": 3, "inside": 4}


def test_a_function_that_fails_is_charged_too_and_an_empty_answer_can_have_its_own_row() -> None:
    now = [0.0]
    work = ModuleType("work")

    def poll(found: list[int], seconds: float) -> list[int]:
        now[0] += seconds
        return found

    def fail() -> None:
        now[0] += 4
        raise LookupError

    vars(work).update(poll=poll, fail=fail)
    watch = Stopwatch("rest", clock=lambda: now[0])
    watch.time(work, "poll", "poll", row_if_empty="waiting")
    watch.time(work, "fail", "failing")
    assert work.poll([1], 1) == [1]
    assert work.poll([], 2) == []
    with pytest.raises(LookupError):
        work.fail()
    assert watch.stop() == 7
    assert watch.seconds == {"rest": 0, "poll": 1, "waiting": 2, "failing": 4}


def test_the_timers_find_every_function_and_charge_known_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for owner in (transaction, loop, translate, GroupConsumer, transaction.PendingBatch):
        for name, value in list(vars(owner).items()):
            if callable(value):
                monkeypatch.setattr(owner, name, value)  # put back after the test
    charged: set[str] = {REST}

    class Noting(Stopwatch):
        def time(self, owner: ModuleType | type, name: str, row: str, row_if_empty: str | None = None) -> None:
            super().time(owner, name, row, row_if_empty)
            charged.update({row, row_if_empty or row})

    time_all(Noting(REST))
    assert charged == set(ROWS)
