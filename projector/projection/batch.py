"""Batches: what a poll returned, cut into pieces that one transaction each can hold."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from projector.contract.envelope import Record
from projector.contract.fields import recorded_at
from projector.domain.positions import Move, Polled

R = TypeVar("R", bound=Record)


class Batch(NamedTuple):
    """Records for one transaction, in log order within each partition, and the moves of their positions."""

    records: list[Record]
    moves: list[Move]


def batches(polled: Sequence[Polled], *, max_records: int, max_bytes: int) -> Iterator[Batch]:
    """Cut what was polled into batches of at most so many records and, one record aside, so many bytes of values."""
    batch, size = Batch([], []), 0
    for part in sorted(polled, key=lambda part: (part.topic, part.partition)):
        start = part.start
        last: Record | None = None
        for record in part.records:
            weight = len(record.value or b"")
            if batch.records and (len(batch.records) >= max_records or size + weight > max_bytes):
                if last is not None:
                    batch.moves.append(_move(part, start, last.offset + 1, last))
                    start = last.offset + 1
                yield batch
                batch, size, last = Batch([], []), 0, None
            batch.records.append(record)
            size += weight
            last = record
        if part.next_offset != start:
            batch.moves.append(_move(part, start, part.next_offset, last))
    if batch.moves:
        yield batch


def _move(part: Polled, start: int, now: int, last: Record | None) -> Move:
    return Move(part.topic, part.partition, start, now, recorded_at(last.timestamp) if last else None)


def chunks(records: Iterable[R], *, max_records: int, max_bytes: int) -> Iterator[list[R]]:
    """Cut records without positions into lists of at most so many and, one record aside, so many bytes of values."""
    piece: list[R] = []
    size = 0
    for record in records:
        weight = len(record.value or b"")
        if piece and (len(piece) >= max_records or size + weight > max_bytes):
            yield piece
            piece, size = [], 0
        piece.append(record)
        size += weight
    if piece:
        yield piece
