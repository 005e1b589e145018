"""The simulated platform: the same log for the same seed, and every kind of story and outcome in it."""

import itertools
import random
from pathlib import Path

import pytest

from testbed.oracle import Expected, Oracle, fold_log
from testbed.recording import AcknowledgedRecord, read_recording, write_recording
from testbed.workload import KINDS, Mix, logged, partition_of, records
from testbed.workload.delegation import Delegation
from testbed.workload.feeds import ENVELOPES, choose_feed
from testbed.workload.malformed import dead_letters
from testbed.workload.scenarios import Scenario

OUTCOMES = {
    *("inserted", "advanced", "heartbeat", "filled", "duplicate", "stale", "refused", "parked"),
    *("unrelated", "uncorrelated", "tombstone", "dead_letter"),
}
SMALL = Mix(delegations=len(KINDS) * 12, live=30, repeat_every=500, seed=3)


@pytest.fixture(scope="module")
def verdict() -> Expected:
    return fold_log(logged(records(SMALL)))


def test_equal_settings_write_equal_logs() -> None:
    assert list(records(SMALL)) == list(records(SMALL))


def test_another_seed_writes_another_log() -> None:
    assert list(records(SMALL)) != list(records(SMALL._replace(seed=4)))


def test_every_outcome_occurs(verdict: Expected) -> None:
    assert set(verdict.outcomes) == OUTCOMES


def test_every_status_occurs(verdict: Expected) -> None:
    statuses = {row.status for row in verdict.rows.values()}
    assert statuses == {"queued", "dispatched", "in_progress", "completed", "failed", "stuck"}


def test_shares_are_what_was_asked_for() -> None:
    log = logged(records(SMALL._replace(unrelated_share=0.7, garbage_share=0.1, repeat_every=10**9)))
    outcomes = fold_log(log).outcomes
    assert outcomes["unrelated"] / outcomes.total() == pytest.approx(0.7, abs=0.05)
    assert outcomes["dead_letter"] / outcomes.total() == pytest.approx(0.1, abs=0.03)


def test_log_order_is_the_order_of_times() -> None:
    times = [record.timestamp for record in records(SMALL)]
    assert times == sorted(times)


def test_a_connector_repeats_whole_stretches() -> None:
    values = [record.value for record in records(SMALL)]
    assert len(set(values)) < len(values) - 500


def test_a_callers_records_are_on_one_partition() -> None:
    assert len({partition_of(b"a caller", 7) for _ in range(3)}) == 1
    assert len({partition_of(str(n).encode(), 7) for n in range(99)}) == 7


@pytest.mark.parametrize("envelope", range(len(ENVELOPES)))
@pytest.mark.parametrize("story", KINDS)
def test_each_story_reads_well_in_each_envelope(story: Scenario, envelope: int) -> None:
    weights = [float(place == envelope) for place in range(len(ENVELOPES))]
    for seed in range(5):
        judging = told(story, seed, weights)
        assert not judging.dead_letters
        assert len(judging.rows) == (story.__name__ != "orphan")


@pytest.mark.parametrize(
    ("name", "status", "outcome"),
    [
        ("straight_to_completed", "completed", "advanced"),
        ("failed", "failed", "advanced"),
        ("stuck", "stuck", "heartbeat"),
        ("retried_with_the_same_key", "completed", "duplicate"),
        ("result_first", "completed", "parked"),
        ("forgotten", None, "inserted"),
        ("answered_too_late", None, "refused"),
        ("text_follows", "completed", "filled"),
        ("error_follows", "failed", "filled"),
        ("told_twice", "completed", "refused"),
        ("moves_backwards", "completed", "stale"),
        ("large", "completed", "duplicate"),
        ("odd", "completed", "heartbeat"),
    ],
)
def test_a_story_ends_as_its_name_says(name: str, status: str | None, outcome: str) -> None:
    story = next(story for story in KINDS if story.__name__ == name)
    judging = told(story, 1, [1, 0, 0, 0, 0])
    assert judging.outcomes[outcome] > 0
    assert status in (None, *(row.status for row in judging.rows.values()))


def told(story: Scenario, seed: int, weights: list[float]) -> Oracle:
    """One story alone, in one envelope, a minute between its changes."""
    rng = random.Random(seed)
    delegation = Delegation(
        rng, "c1c1c1c1-0000-4000-8000-000000000001", "c2c2c2c2-0000-4000-8000-000000000002", choose_feed(rng, weights)
    )
    judging, changes = Oracle(), story(delegation)
    for offset in itertools.count():
        delegation.set_now(1_746_439_200_000 + offset * 60_000)
        change = next(changes, None)
        if change is None:
            return judging
        value = delegation.feed.value(change.op, change.row, change.at)
        judging.see(AcknowledgedRecord("activity-log", 0, offset, delegation.now, None, value))
    raise AssertionError("a story without an end")


def test_hostile_records_are_dead_letters_all() -> None:
    judging = Oracle()
    for offset, value in enumerate(dead_letters(seed=1, count=5000)):
        assert judging.see(AcknowledgedRecord("activity-log", 0, offset, 1, None, value)) == "dead_letter", value[:500]
    assert judging.outcomes == {"dead_letter": 5000}


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_a_recording_keeps_every_byte(tmp_path: Path, suffix: str) -> None:
    log = list(itertools.islice(logged(records(SMALL)), 1500))
    path = tmp_path / f"log.{suffix}"
    assert write_recording(path, log) == len(log)
    assert list(read_recording(path)) == log
