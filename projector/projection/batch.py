"""Batches: records cut into chunks that one transaction can hold, with the moves of the positions they pass."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from projector.contract.envelope import Record
from projector.contract.fields import recorded_at
from projector.domain.positions import Move, Polled
from projector.settings import BatchLimits

R = TypeVar("R", bound=Record)


class Batch(NamedTuple):
    """Records for one transaction, in the order of each partition, and the moves of the positions."""

    records: list[Record]
    moves: list[Move]


def batches(polled: Sequence[Polled], limits: BatchLimits) -> Iterator[Batch]:
    """Cut polled records into batches. A partition that advanced without records adds its move to the batch before."""
    parts = sorted(polled, key=lambda part: (part.topic, part.partition))
    left = deque(part for part in parts if part.next_offset != part.start)
    for records in chunks((record for part in parts for record in part.records), limits):
        yield Batch(records, list(_moves(left, len(records))))
    if left:
        yield Batch([], list(_moves(left, 0)))


def _moves(left: deque[Polled], count: int) -> Iterator[Move]:
    """Yield the moves of the next `count` records, and remove these records from `left`."""
    while left and (count or not left[0].records):
        part = left.popleft()
        records = part.records[:count]
        last, next_offset = records[-1] if records else None, part.next_offset
        if last is not None and len(records) < len(part.records):
            next_offset = last.offset + 1
            left.appendleft(part._replace(start=next_offset, records=part.records[count:]))
        count -= len(records)
        record_at = recorded_at(last.timestamp) if last else None
        yield Move(part.topic, part.partition, part.start, next_offset, record_at)


def chunks(records: Iterable[R], limits: BatchLimits) -> Iterator[list[R]]:
    """Cut records into lists within the limits. A single record may be larger than `batch_bytes`."""
    max_records, max_bytes = limits.batch_records, limits.batch_bytes
    chunk: list[R] = []
    size = 0
    for record in records:
        record_bytes = len(record.value or b"")
        if chunk and (len(chunk) >= max_records or size + record_bytes > max_bytes):
            yield chunk
            chunk, size = [], 0
        chunk.append(record)
        size += record_bytes
    if chunk:
        yield chunk
