"""The oracle's order of a log with several partitions, and what that order may have decided (events/README.md)."""

from datetime import timedelta

import pytest
from rows import TEN, Columns, answer, delegate, fold_values, heartbeat, record_at, verdict

from testbed.oracle import differences, fold_in_order, fold_log, merge_partitions, order_not_told
from testbed.oracle.groups import UNDECIDED_COLUMNS
from testbed.recording import AcknowledgedRecord


def placed(*records: tuple[int, int, int | None]) -> list[AcknowledgedRecord]:
    """Records of (partition, offset, timestamp)."""
    return [AcknowledgedRecord("activity-log", *record, None, None) for record in records]


def merged(*records: tuple[int, int, int | None]) -> list[tuple[int, int]]:
    return [(record.partition, record.offset) for record in merge_partitions(placed(*records))]


def in_two(first: list[Columns], second: list[Columns]) -> list[AcknowledgedRecord]:
    """Records of two partitions, all of one time."""
    log = [record_at(offset, row, 7) for rows in (first, second) for offset, row in enumerate(rows)]
    return [each._replace(partition=int(index >= len(first))) for index, each in enumerate(log)]


def asked(delegation_id: str, status: str = "pending") -> Columns:
    return delegate(0, status, request_body={"delegation_id": delegation_id}, idempotency_key="k")


def test_smallest_timestamp_is_first_and_then_the_lower_partition() -> None:
    assert merged((2, 0, 5), (1, 0, 5), (0, 0, 9), (1, 1, 6)) == [(1, 0), (2, 0), (1, 1), (0, 0)]


def test_offsets_order_a_partition_whatever_its_timestamps() -> None:
    assert merged((0, 1, 1), (0, 0, 9), (1, 0, 5), (1, 1, 2)) == [(1, 0), (1, 1), (0, 0), (0, 1)]


@pytest.mark.parametrize("none", [None, -1, -5])
def test_record_without_timestamp_has_that_of_the_record_before(none: int | None) -> None:
    assert merged((0, 0, 4), (0, 1, none), (1, 0, 5), (2, 0, none), (2, 1, 6)) == [
        (2, 0),
        (0, 0),
        (0, 1),
        (1, 0),
        (2, 1),
    ]


@pytest.mark.parametrize("none", [None, -1])
def test_record_without_timestamp_at_the_start_has_the_time_zero(none: int | None) -> None:
    assert merged((1, 0, none), (0, 0, 0), (2, 0, 1)) == [(0, 0), (1, 0), (2, 0)]


def test_fold_log_merges_and_fold_in_order_does_not() -> None:
    failed = record_at(0, answer(1, "failed"), 2)._replace(partition=1)
    log = [record_at(0, delegate(0), 1), record_at(1, answer(2, "completed"), 3), failed]
    assert fold_log(log).rows["d-1"].status == "failed"
    assert fold_in_order(log).rows["d-1"].status == "completed"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([delegate(0), answer(1, "completed")], [answer(1, "stuck")]),
        ([delegate(0), heartbeat(1)], [verdict(2, "failed", silent=0)]),
        ([delegate(0)], [verdict(2, "failed", silent=None)]),
        ([delegate(0, "failed")], [delegate(0, "completed")]),
    ],
)
def test_columns_are_undecided(first: list[Columns], second: list[Columns]) -> None:
    assert order_not_told(in_two(first, second)) == {"d-1": (UNDECIDED_COLUMNS, False)}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([delegate(0), answer(1, "completed")], [answer(1, "completed"), heartbeat(2)]),
        ([delegate(0), answer(1, "completed"), answer(1, "stuck"), verdict(2, "failed", silent=0)], []),
        ([delegate(0), answer(1, "failed")], [answer(1, "timeout")]),
    ],
)
def test_columns_are_decided(first: list[Columns], second: list[Columns]) -> None:
    told = order_not_told(in_two(first, second)).values()
    assert [each for each in told if each.columns or each.presence] == []


def test_presence_of_requests_with_one_key_is_undecided() -> None:
    log = in_two([asked("d-1"), delegate(0, request_body={"delegation_id": "d-9"})], [asked("d-2"), asked("d-2")])
    assert order_not_told(log) == {"d-1": (frozenset(), True), "d-2": (frozenset(), True)}


def test_group_has_all_that_asked_with_the_key() -> None:
    """The terminal statuses of one delegation make the columns of the other undecided too."""
    log = in_two([asked("d-1"), answer(1, "completed")], [asked("d-2"), answer(1, "failed", of="d-2")])
    assert order_not_told(log) == dict.fromkeys(["d-1", "d-2"], (UNDECIDED_COLUMNS, True))


def test_undecided_values_are_no_differences() -> None:
    log = in_two([asked("d-1"), answer(1, "completed")], [asked("d-2"), answer(1, "failed")])
    rows, undecided = fold_log(log).rows, order_not_told(log)
    other = fold_log(each._replace(partition=1 - each.partition) for each in log).rows
    assert differences(rows, other) != []
    assert differences(rows, other, undecided) == []
    other["d-2"].caller_id = "another"
    assert differences(fold_values(asked("d-2"))[1], other, undecided)[0].startswith("d-2: caller_id is 'another'")


def test_other_columns_are_always_compared() -> None:
    rows = fold_values(delegate(0))[1]
    changed = fold_values(delegate(0), answer(1, "failed", error_detail="x"))[1]
    changed["d-1"].deadline = TEN + timedelta(days=1)
    undecided = order_not_told(in_two([delegate(0), answer(1, "failed")], [answer(1, "stuck")]))
    assert len(differences(rows, changed, undecided)) == 1
