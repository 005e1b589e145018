"""Slow records of a member: their place in the batches, their delays, and when they are forgotten."""

import pytest

from projector.domain.positions import Polled
from projector.errors import RecordTooSlow
from projector.projection.limits import AdaptiveLimits
from projector.recordings.file import RecordedRecord
from projector.settings import BatchLimits
from projector.worker.slow_records import SlowRecords

LIMITS = AdaptiveLimits(BatchLimits(batch_records=100))


def too_slow(partition: int = 1, offset: int = 7) -> RecordTooSlow:
    return RecordTooSlow("activity-log", partition, offset, "canceling statement due to statement timeout")


def polled(partition: int, *offsets: int) -> Polled:
    records = [RecordedRecord("activity-log", partition, offset, 1000, None, b"x") for offset in offsets]
    return Polled("activity-log", partition, offsets[0], records, offsets[-1] + 1)


def apart(slow: SlowRecords, *parts: Polled) -> list[tuple[list[Polled], int]]:
    return [(found, limits.batch_records) for found, limits in slow.apart(parts, LIMITS)]


def test_slow_record_comes_last_and_alone() -> None:
    slow = SlowRecords()
    slow.add(too_slow(), LIMITS)
    parts = polled(0, 3, 4), polled(1, 7, 8, 9), polled(2, 5)
    assert apart(slow, *parts) == [([parts[0], parts[2]], 100), ([parts[1]], 1)]


def test_nothing_is_apart_without_slow_records() -> None:
    parts = polled(0, 3), polled(1, 7, 8)
    assert apart(SlowRecords(), *parts) == [([*parts], 100)]


def test_partition_whose_record_is_passed_meanwhile_is_not_left_out() -> None:
    """The first batches are written, and positions noted, before the last ones are made."""
    slow = SlowRecords()
    slow.add(too_slow(), LIMITS)
    parts, found = [polled(0, 3), polled(1, 8)], []
    for some, _ in slow.apart(parts, LIMITS):
        found += some
        slow.note_positions({1: 8})
    assert found == parts


def test_same_record_waits_longer_each_time() -> None:
    slow = SlowRecords()
    delays = [slow.add(too_slow(), LIMITS) for _ in range(9)]
    for longest, delay in zip([1, 2, 4, 8, 16, 32, 60, 60, 60], delays, strict=True):
        assert longest / 2 <= delay <= longest
    assert slow.add(too_slow(offset=8), LIMITS) <= 1


def test_record_that_a_position_passed_is_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    """Perhaps another member has written it."""
    caplog.set_level("INFO")
    slow = SlowRecords()
    slow.add(too_slow(), LIMITS)
    caplog.clear()
    slow.note_positions({0: 99, 1: 7})
    assert slow.sentences([0, 1]) == [str(too_slow())]
    slow.note_positions({1: 8})
    assert slow.sentences([0, 1]) == []
    assert [entry.message for entry in caplog.records] == ["the slow record is passed, its partition continues"]


def test_report_is_about_assigned_partitions() -> None:
    slow = SlowRecords()
    slow.add(too_slow(), LIMITS)
    assert slow.sentences([0, 2]) == []
