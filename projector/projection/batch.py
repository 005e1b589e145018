"""Records cut into chunks that one transaction can hold, with the moves of the positions they pass."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from projector.contract.envelope import Record
from projector.contract.fields import recorded_at
from projector.domain.merge import Merged
from projector.domain.positions import Move, Polled
from projector.projection.limits import Limits

R = TypeVar("R", bound=Record)


class Chunk(NamedTuple):
    """Records for one transaction, in the order of each partition, and the moves of the positions."""

    records: list[Record]
    size: int
    """Bytes of values."""
    moves: list[Move]


def by_partition(polled: Sequence[Polled]) -> Merged:
    """What a poll returned, one partition after the other."""
    parts = sorted(polled, key=lambda part: part.partition)
    return Merged([record for part in parts for record in part.records], parts)


def cut(merged: Merged, limits: Limits, *, records: int = 0, size: int = 0) -> Iterator[Chunk]:
    """Cut records of several partitions into chunks, in their order.

    The first chunk goes to a transaction that has this number of `records` and this `size` in bytes already: it is
    smaller, or empty. It also has the moves of the partitions that advanced without records.
    """
    left: dict[int, Polled] = {}
    for part in merged.parts:
        first = left.get(part.partition, part)
        left[part.partition] = first._replace(records=part.records or first.records, next_offset=part.next_offset)
    for chunk, added in _sized(merged.records, limits, records, size):
        yield Chunk(chunk, added, list(_moves(left, {record.partition: record for record in chunk})))
    if moves := list(_moves(left, {})):
        yield Chunk([], 0, moves)


def _moves(left: dict[int, Polled], last: Mapping[int, Record]) -> Iterator[Move]:
    """Yield the moves over the records up to `last` (partition → record), and remove what they pass from `left`."""
    for partition, part in sorted(left.items()):
        record = last.get(partition)
        if record is None and part.records:
            continue
        next_offset = part.next_offset
        if record is None or record.offset == part.records[-1].offset:
            del left[partition]
        else:
            next_offset = record.offset + 1
            left[partition] = part._replace(start=next_offset)
        if next_offset != part.start:
            yield Move(
                part.topic, partition, part.start, next_offset, recorded_at(record.timestamp) if record else None
            )


def chunks(records: Iterable[R], limits: Limits) -> Iterator[list[R]]:
    """Cut records into lists within the limits of that moment. A single record may be larger than `batch_bytes`."""
    return (chunk for chunk, _ in _sized(records, limits))


def _sized(records: Iterable[R], limits: Limits, before: int = 0, size: int = 0) -> Iterator[tuple[list[R], int]]:
    """Cut records into lists with their sizes in bytes. The first list follows `before` records of `size` bytes."""
    chunk: list[R] = []
    begin, room, end = size, limits.batch_records - before, limits.batch_bytes
    for record in records:
        record_bytes = len(record.value or b"")
        if (len(chunk) >= room or size + record_bytes > end) and (chunk or before):
            yield chunk, size - begin
            chunk, before, begin, size, room, end = [], 0, 0, 0, limits.batch_records, limits.batch_bytes
        chunk.append(record)
        size += record_bytes
    if chunk:
        yield chunk, size - begin
