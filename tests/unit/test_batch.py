"""Batches: each polled record is in one batch, and the moves of a partition are contiguous."""

import itertools
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from projector.domain.positions import Move, Polled
from projector.projection import batch as cutting
from projector.projection.batch import Chunk, by_partition
from projector.recordings.file import RecordedRecord
from projector.settings import BatchLimits


def record(partition: int, offset: int, size: int = 1) -> RecordedRecord:
    return RecordedRecord("activity-log", partition, offset, offset * 1000, None, b"x" * size if size else None)


def polled(partition: int, start: int, *offsets: int, next_offset: int | None = None, size: int = 1) -> Polled:
    end = next_offset if next_offset is not None else offsets[-1] + 1
    return Polled("activity-log", partition, start, [record(partition, offset, size) for offset in offsets], end)


def cut(*parts: Polled, max_records: int = 100, max_bytes: int = 100) -> list[Chunk]:
    return list(cutting.cut(by_partition(parts), BatchLimits(batch_records=max_records, batch_bytes=max_bytes)))


def move(partition: int, start: int, next_offset: int, second: int | None = None) -> Move:
    at = None if second is None else datetime.fromtimestamp(second, UTC)
    return Move("activity-log", partition, start, next_offset, at)


@st.composite
def polls(draw: st.DrawFn) -> list[Polled]:
    """What a member polled. A partition that advances after its records appears a second time, without records."""
    parts = []
    for partition in draw(st.permutations(range(draw(st.integers(0, 4))))):
        start = draw(st.integers(0, 5))
        offsets = sorted(draw(st.sets(st.integers(start, start + 30), max_size=12)))
        next_offset = max([start, *(offset + 1 for offset in offsets)]) + draw(st.sampled_from([0, 0, 3]))
        records = [record(partition, offset, draw(st.integers(0, 9))) for offset in offsets]
        parts.append(Polled("activity-log", partition, start, records, next_offset))
        if draw(st.booleans()):
            parts.append(Polled("activity-log", partition, next_offset, [], next_offset + 2))
    return parts


def test_everything_polled_fits_in_one_batch() -> None:
    [batch] = cut(polled(1, 4, 4, 5), polled(0, 7, 7))
    assert [(record.partition, record.offset) for record in batch.records] == [(0, 7), (1, 4), (1, 5)]
    assert batch.moves == [move(0, 7, 8, 7), move(1, 4, 6, 5)]


def test_batch_ends_at_its_record_limit() -> None:
    found = cut(polled(0, 0, 0, 1, 2), polled(1, 0, 0, 1), max_records=2)
    assert [len(batch.records) for batch in found] == [2, 2, 1]
    assert [batch.moves for batch in found] == [
        [move(0, 0, 2, 1)],
        [move(0, 2, 3, 2), move(1, 0, 1, 0)],
        [move(1, 1, 2, 1)],
    ]


def test_batch_ends_at_its_byte_limit() -> None:
    assert [len(batch.records) for batch in cut(polled(0, 0, 0, 1, 2, 3, size=40))] == [2, 2]
    assert [len(batch.records) for batch in cut(polled(0, 0, 0, 1, size=500))] == [1, 1]


def test_position_passes_offsets_without_records() -> None:
    [batch] = cut(polled(0, 3, 5, 9, next_offset=12))
    assert batch.moves == [move(0, 3, 12, 9)]
    [batch] = cut(polled(0, 3, next_offset=12))
    assert (batch.records, batch.moves) == ([], [move(0, 3, 12)])


def test_partition_without_records_joins_the_batch_before_it() -> None:
    found = cut(polled(0, 0, 0, 1, 2), polled(1, 5, next_offset=7), polled(2, 0, 0), max_records=3)
    assert [batch.moves for batch in found] == [[move(0, 0, 3, 2), move(1, 5, 7)], [move(2, 0, 1, 0)]]


def test_nothing_polled_gives_no_batch() -> None:
    assert cut() == []
    assert cut(polled(0, 3, next_offset=3)) == []


@given(polls(), st.integers(1, 6), st.integers(1, 20))
def test_batches_keep_all_records_in_order_within_limits(parts: list[Polled], records: int, size: int) -> None:
    found = cut(*parts, max_records=records, max_bytes=size)
    in_order = [record for part in sorted(parts, key=lambda part: part.partition) for record in part.records]
    assert [record for batch in found for record in batch.records] == in_order
    for batch in found:
        assert len(batch.records) <= records
        assert len(batch.records) == 1 or sum(len(record.value or b"") for record in batch.records) <= size


@given(polls(), st.integers(1, 6))
def test_moves_of_a_partition_are_contiguous(parts: list[Polled], records: int) -> None:
    found = cut(*parts, max_records=records)
    for partition in {part.partition for part in parts}:
        polled = [part for part in parts if part.partition == partition]
        moves = [move for batch in found for move in batch.moves if move.partition == partition]
        ends = [polled[0].start, *(move.next_offset for move in moves)]
        assert [move.start for move in moves] == ends[:-1]
        assert ends[-1] == polled[-1].next_offset


@given(polls(), st.integers(1, 6))
def test_moves_of_a_batch_cover_exactly_its_records(parts: list[Polled], records: int) -> None:
    for batch in cut(*parts, max_records=records):
        assert all(move.start < move.next_offset for move in batch.moves)
        assert all(a.partition <= b.partition for a, b in itertools.pairwise(batch.moves))
        for record in batch.records:
            moves = [move for move in batch.moves if move.partition == record.partition]
            assert sum(move.start <= record.offset < move.next_offset for move in moves) == 1
