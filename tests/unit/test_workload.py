"""The simulated platform: equal logs for equal seeds, with every scenario and outcome in them."""

import itertools
import json
import random
from collections import Counter
from pathlib import Path

import pytest

from testbed.oracle import Expected, Oracle, fold_log
from testbed.oracle.reading import Event, Reader
from testbed.recording import AcknowledgedRecord, read_recording, write_recording
from testbed.workload import SCENARIO_WEIGHTS, Mix, partition_of, records, with_offsets
from testbed.workload.delegation import Delegation
from testbed.workload.feeds import ENVELOPES, choose_feed
from testbed.workload.malformed import malformed_values
from testbed.workload.scenarios import Scenario

OUTCOMES = {
    *("inserted", "advanced", "heartbeat", "filled", "duplicate", "stale", "refused", "parked"),
    *("unrelated", "uncorrelated", "tombstone", "dead_letter"),
}
SMALL = Mix(delegations=len(SCENARIO_WEIGHTS) * 12, live=30, repeat_every=500, seed=3)


@pytest.fixture(scope="module")
def expected() -> Expected:
    return fold_log(with_offsets(records(SMALL)))


def test_equal_seeds_write_equal_logs() -> None:
    assert list(records(SMALL)) == list(records(SMALL))


def test_other_seed_writes_other_log() -> None:
    assert list(records(SMALL)) != list(records(SMALL._replace(seed=4)))


def test_every_outcome_occurs(expected: Expected) -> None:
    assert set(expected.outcomes) == OUTCOMES


def test_every_status_occurs(expected: Expected) -> None:
    statuses = {row.status for row in expected.rows.values()}
    assert statuses == {"queued", "dispatched", "in_progress", "completed", "failed", "stuck"}


def test_every_form_of_a_value_occurs() -> None:
    values = [record.value for record in records(SMALL._replace(malformed_share=0, wrapped_share=0.4)) if record.value]
    texts = [json.loads(value) for value in values if value.startswith(b'"{')]
    opened = [json.loads(value) for value in values if value.startswith(b"{")]
    assert texts
    assert any(value.startswith(b"\x00\x00\x00\x00\x2a{") for value in values)
    assert any("data_base64" in each for each in opened if each.get("specversion"))
    assert any(isinstance(each.get("data"), str) for each in opened)
    assert {type(each.get("created_at")) for each in opened} == {str, int, type(None)}
    assert {each["source"].get("table") for each in opened if each.get("op") == "u"} >= {"agents", "activity_logs"}


def test_verdicts_of_each_kind_occur(expected: Expected) -> None:
    verdicts, outcomes = Counter[str](), Oracle()
    for record in with_offsets(records(SMALL)):
        outcome, event = outcomes.apply(record), Reader().read(record.value, record.timestamp)
        if isinstance(event, Event) and event.kind == "verdict":
            verdicts[f"{outcome} {'plain' if event.silent_since is None else 'with evidence'}"] += 1
    both = {"advanced", "parked", "filled", "refused", "duplicate", "stale"}
    assert {f"{outcome} with evidence" for outcome in both} <= verdicts.keys()
    assert {"advanced plain", "parked plain"} <= verdicts.keys()
    assert {each.event.kind for each in expected.parked_events} == {"status", "heartbeat", "verdict"}
    assert len(expected.repeated) > 10
    assert expected.parked.keys() & expected.repeated.keys()


def test_plain_mix_has_no_verdicts_no_wrappings_and_no_numbers() -> None:
    plain = SMALL._replace(verdicts=False, wrapped_share=0, numeric_share=0, malformed_share=0, connector_share=0)
    values = [json.loads(record.value or b"null") for record in records(plain)]
    assert all(isinstance(value, dict) and not isinstance(value.get("data", {}), str) for value in values)
    assert not any(value.get("method") == "verdict" or isinstance(value.get("created_at"), int) for value in values)


def test_shares_match_settings() -> None:
    log = with_offsets(records(SMALL._replace(unrelated_share=0.7, malformed_share=0.1, repeat_every=10**9)))
    outcomes = fold_log(log).outcomes
    assert outcomes["unrelated"] / outcomes.total() == pytest.approx(0.7, abs=0.05)
    assert outcomes["dead_letter"] / outcomes.total() == pytest.approx(0.1, abs=0.03)


def test_log_is_in_order_of_timestamps() -> None:
    times = [record.timestamp for record in records(SMALL)]
    assert times == sorted(times)


def test_connector_repeats_records() -> None:
    values = [record.value for record in records(SMALL)]
    assert len(set(values)) < len(values) - 500


def test_records_of_caller_are_in_one_partition() -> None:
    assert len({partition_of(b"a caller", 7) for _ in range(3)}) == 1
    assert len({partition_of(str(n).encode(), 7) for n in range(99)}) == 7


@pytest.mark.parametrize("envelope", range(len(ENVELOPES)))
@pytest.mark.parametrize("scenario", SCENARIO_WEIGHTS)
def test_scenario_has_no_dead_letters_in_any_envelope(scenario: Scenario, envelope: int) -> None:
    weights = [float(place == envelope) for place in range(len(ENVELOPES))]
    for seed in range(5):
        oracle = run_scenario(scenario, seed, weights, wrapped_share=seed % 2, numeric_share=seed % 3 / 2)
        assert not oracle.dead_letters
        assert len(oracle.rows) == (not scenario.__name__.endswith("without_request"))


@pytest.mark.parametrize(
    ("name", "status", "outcome"),
    [
        ("straight_to_completed", "completed", "advanced"),
        ("failed", "failed", "advanced"),
        ("stuck", "stuck", "heartbeat"),
        ("retried_with_same_key", "completed", "duplicate"),
        ("result_first", "completed", "parked"),
        ("old_in_flight", None, "inserted"),
        ("late_result", None, "refused"),
        ("text_after_status", "completed", "filled"),
        ("error_after_status", "failed", "filled"),
        ("repeated_by_connector", "completed", "refused"),
        ("status_moves_back", "completed", "stale"),
        ("large_bodies", "completed", "duplicate"),
        ("judged_stuck", "stuck", "advanced"),
        ("judged_too_early", None, "stale"),
        ("judged_before_request", None, "parked"),
        ("judged_after_end", None, "refused"),
        ("judged_without_evidence", "failed", "advanced"),
        ("retried_often", "completed", "duplicate"),
        ("unusual_values", "completed", "heartbeat"),
    ],
)
def test_scenario_ends_with_expected_status(name: str, status: str | None, outcome: str) -> None:
    scenario = next(scenario for scenario in SCENARIO_WEIGHTS if scenario.__name__ == name)
    oracle = run_scenario(scenario, 1, [1, 0, 0, 0, 0])
    assert oracle.outcomes[outcome] > 0
    assert status in (None, *(row.status for row in oracle.rows.values()))


def run_scenario(scenario: Scenario, seed: int, weights: list[float], **shares: float) -> Oracle:
    """Fold one scenario alone, with one minute between its changes."""
    rng = random.Random(seed)
    delegation = Delegation(
        rng,
        "c1c1c1c1-0000-4000-8000-000000000001",
        "c2c2c2c2-0000-4000-8000-000000000002",
        choose_feed(rng, weights, **shares),
    )
    oracle, changes = Oracle(), scenario(delegation)
    for offset in itertools.count():
        delegation.set_now(1_746_439_200_000 + offset * 60_000)
        change = next(changes, None)
        if change is None:
            return oracle
        value = delegation.feed.value(change.op, change.row, change.at)
        oracle.apply(AcknowledgedRecord("activity-log", 0, offset, delegation.now, None, value))
    raise AssertionError("the scenario does not end")


def test_malformed_values_are_dead_letters() -> None:
    oracle = Oracle()
    for offset, value in enumerate(malformed_values(seed=1, count=5000)):
        assert oracle.apply(AcknowledgedRecord("activity-log", 0, offset, 1, None, value)) == "dead_letter", value[:500]
    assert oracle.outcomes == {"dead_letter": 5000}


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_recording_keeps_every_byte(tmp_path: Path, suffix: str) -> None:
    log = list(itertools.islice(with_offsets(records(SMALL)), 1500))
    path = tmp_path / f"log.{suffix}"
    assert write_recording(path, log) == len(log)
    assert list(read_recording(path)) == log
