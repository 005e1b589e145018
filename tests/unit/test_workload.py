"""The simulated platform: equal logs for equal seeds, with every scenario and outcome in them."""

import itertools
import random
from pathlib import Path

import pytest

from testbed.oracle import Expected, Oracle, fold_log
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
        oracle = run_scenario(scenario, seed, weights)
        assert not oracle.dead_letters
        assert len(oracle.rows) == (scenario.__name__ != "without_request")


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
        ("unusual_values", "completed", "heartbeat"),
    ],
)
def test_scenario_ends_with_expected_status(name: str, status: str | None, outcome: str) -> None:
    scenario = next(scenario for scenario in SCENARIO_WEIGHTS if scenario.__name__ == name)
    oracle = run_scenario(scenario, 1, [1, 0, 0, 0, 0])
    assert oracle.outcomes[outcome] > 0
    assert status in (None, *(row.status for row in oracle.rows.values()))


def run_scenario(scenario: Scenario, seed: int, weights: list[float]) -> Oracle:
    """Fold one scenario alone, with one minute between its changes."""
    rng = random.Random(seed)
    delegation = Delegation(
        rng, "c1c1c1c1-0000-4000-8000-000000000001", "c2c2c2c2-0000-4000-8000-000000000002", choose_feed(rng, weights)
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
