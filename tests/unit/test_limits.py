"""The limits of batches: smaller after a batch that was too slow, and larger again after batches that were written."""

import logging

import pytest

from projector.projection.limits import AdaptiveLimits
from projector.settings import BatchLimits


def limits(records: int = 100) -> AdaptiveLimits:
    return AdaptiveLimits(BatchLimits(batch_records=records))


def write(limits: AdaptiveLimits, times: int) -> None:
    for _ in range(times):
        limits.written(limits.batch_records)


def test_slow_batch_halves_the_next_ones() -> None:
    slow = limits()
    slow.too_slow(100, "it is slow")
    assert slow.batch_records == 50
    slow.too_slow(3, "it is slow")
    slow.too_slow(1, "it is slow")
    assert slow.batch_records == 1


def test_slow_batch_that_was_larger_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    slow = limits()
    slow.too_slow(8, "it is slow")
    caplog.clear()
    slow.too_slow(100, "a batch from before")
    assert slow.batch_records == 4
    assert not caplog.records


def test_ten_full_batches_double_the_size() -> None:
    slow = limits()
    slow.too_slow(40, "it is slow")
    write(slow, 9)
    slow.written(19)  # not a full one
    assert slow.batch_records == 20
    write(slow, 1)
    assert slow.batch_records == 40


def test_growth_that_fails_is_tried_less_often() -> None:
    slow = limits()
    slow.too_slow(20, "it is slow")
    tries = []
    for _ in range(8):
        batches = 0
        while slow.batch_records == 10:
            write(slow, 1)
            batches += 1
        tries.append(batches)
        slow.too_slow(20, "it is still slow")
    assert tries == [10, 20, 40, 80, 160, 320, 320, 320]


def test_return_to_the_configured_size_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    slow = limits(5)
    with caplog.at_level(logging.INFO):
        slow.too_slow(5, "it is slow")
        write(slow, 20)
    assert slow.batch_records == 5
    assert [(entry.levelname, entry.message, entry.__dict__["records"]) for entry in caplog.records] == [
        ("WARNING", "batches are too slow, they have fewer records now", 2),
        ("INFO", "batches have as many records as configured again", 5),
    ]
    write(slow, 20)
    assert slow.batch_records == 5
