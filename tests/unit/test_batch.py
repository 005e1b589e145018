"""Batches: whatever was polled, each record is in one batch, and the moves of a partition meet end to end."""

import itertools
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from projector.domain.positions import Move, Polled
from projector.projection.batch import Batch, batches
from projector.recordings.file import RecordedRecord
from projector.settings import BatchLimits


def line(partition: int, offset: int, size: int = 1) -> RecordedRecord:
    return RecordedRecord("activity-log", partition, offset, offset * 1000, None, b"x" * size if size else None)


def polled(partition: int, was: int, *offsets: int, now: int | None = None, size: int = 1) -> Polled:
    end = now if now is not None else offsets[-1] + 1
    return Polled("activity-log", partition, was, [line(partition, offset, size) for offset in offsets], end)


def cut(*parts: Polled, max_records: int = 100, max_bytes: int = 100) -> list[Batch]:
    return list(batches(parts, BatchLimits(batch_records=max_records, batch_bytes=max_bytes)))


def move(partition: int, was: int, now: int, second: int | None = None) -> Move:
    at = None if second is None else datetime.fromtimestamp(second, UTC)
    return Move("activity-log", partition, was, now, at)


@st.composite
def polls(draw: st.DrawFn) -> list[Polled]:
    parts = []
    for partition in draw(st.permutations(range(draw(st.integers(0, 4))))):
        was = draw(st.integers(0, 5))
        offsets = sorted(draw(st.sets(st.integers(was, was + 30), max_size=12)))
        now = max([was, *(offset + 1 for offset in offsets)]) + draw(st.sampled_from([0, 0, 3]))
        lines = [line(partition, offset, draw(st.integers(0, 9))) for offset in offsets]
        parts.append(Polled("activity-log", partition, was, lines, now))
    return parts


def test_everything_polled_is_one_batch_where_it_fits() -> None:
    [batch] = cut(polled(1, 4, 4, 5), polled(0, 7, 7))
    assert [(record.partition, record.offset) for record in batch.records] == [(0, 7), (1, 4), (1, 5)]
    assert batch.moves == [move(0, 7, 8, 7), move(1, 4, 6, 5)]


def test_batch_ends_at_so_many_records() -> None:
    batches = cut(polled(0, 0, 0, 1, 2), polled(1, 0, 0, 1), max_records=2)
    assert [len(batch.records) for batch in batches] == [2, 2, 1]
    assert [batch.moves for batch in batches] == [
        [move(0, 0, 2, 1)],
        [move(0, 2, 3, 2), move(1, 0, 1, 0)],
        [move(1, 1, 2, 1)],
    ]


def test_batch_ends_at_so_many_bytes_and_a_larger_record_stands_alone() -> None:
    assert [len(batch.records) for batch in cut(polled(0, 0, 0, 1, 2, 3, size=40))] == [2, 2]
    assert [len(batch.records) for batch in cut(polled(0, 0, 0, 1, size=500))] == [1, 1]


def test_position_passes_what_holds_no_record() -> None:
    [batch] = cut(polled(0, 3, 5, 9, now=12))
    assert batch.moves == [move(0, 3, 12, 9)]
    [batch] = cut(polled(0, 3, now=12))
    assert (batch.records, batch.moves) == ([], [move(0, 3, 12)])


def test_nothing_polled_is_no_batch() -> None:
    assert cut() == []
    assert cut(polled(0, 3, now=3)) == []


@given(polls(), st.integers(1, 6), st.integers(1, 20))
def test_batches_keep_every_record_in_order_within_their_limits(parts: list[Polled], records: int, size: int) -> None:
    found = cut(*parts, max_records=records, max_bytes=size)
    in_order = [record for part in sorted(parts, key=lambda part: part.partition) for record in part.records]
    assert [record for batch in found for record in batch.records] == in_order
    for batch in found:
        assert len(batch.records) <= records
        assert len(batch.records) == 1 or sum(len(record.value or b"") for record in batch.records) <= size


@given(polls(), st.integers(1, 6))
def test_moves_of_a_partition_meet_end_to_end_and_cover_its_records(parts: list[Polled], records: int) -> None:
    found = cut(*parts, max_records=records)
    for part in parts:
        moves = [(batch, move) for batch in found for move in batch.moves if move.partition == part.partition]
        ends = [part.start, *(move.next_offset for _, move in moves)]
        assert [move.start for _, move in moves] == ends[:-1]
        assert ends[-1] == part.next_offset
        for batch, move in moves:
            offsets = [record.offset for record in batch.records if record.partition == part.partition]
            assert all(move.start <= offset < move.next_offset for offset in offsets)
        assert sum(len([r for r in b.records if r.partition == part.partition]) for b, _ in moves) == len(part.records)
    for batch in found:
        assert all(a.partition < b.partition for a, b in itertools.pairwise(batch.moves))
