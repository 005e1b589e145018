"""Record batches, as a fetch returns them: their records, and the offsets that nothing explains.

The offsets of a partition are contiguous. A transaction marker and a record of an aborted transaction have an offset
and are not returned: their batches explain it. An offset in no batch, or in a batch that no longer has its record, is a
*hole*: compaction removed the record.

This module replaces the step of kafka-python 3.0.12 that unpacks the batches (`Fetcher.PartitionRecords`). Within a
batch, the library's decoder reads the records.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError

from projector.domain.positions import LogRange

_OFFSETS_KNOWN = 2
"""The first version of the batch format whose header has the last offset and the producer."""


class FetchedRecord(NamedTuple):
    """A record of the topic. `timestamp` is in ms since 1970, negative if the record has none."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Holes:
    """The holes that the polls of a consumer passed: (topic, partition) → ranges of offsets, in order."""

    def __init__(self) -> None:
        self._found: dict[Any, list[LogRange]] = {}

    def add(self, place: Any, beginning: int, end: int) -> None:
        """Offsets from `beginning` to before `end` are a hole."""
        found = self._found.setdefault(place, [])
        if found and found[-1].end == beginning:
            beginning = found.pop().beginning
        found.append(LogRange(beginning, end))

    def take(self, place: Any, within: LogRange) -> list[LogRange]:
        """Return and forget the holes of a partition, cut to `within`: the reader skipped the rest."""
        if place not in self._found:
            return []
        first, last = within
        cut = [LogRange(max(beginning, first), min(end, last)) for beginning, end in self._found.pop(place)]
        return [hole for hole in cut if hole.beginning < hole.end]


def find_holes(consumer: Any) -> Holes:
    """Let a consumer unpack batches by this module; return the holes, which its polls fill."""
    holes = Holes()

    def unpacked(*arguments: Any, **more: Any) -> _PartitionRecords:
        return _PartitionRecords(holes, *arguments, **more)

    consumer._fetcher.PartitionRecords = unpacked
    return holes


def limit_partition_fetch(consumer: Any, size: int) -> None:
    """Let each following fetch return at most `size` compressed bytes per partition; at least one batch."""
    consumer._fetcher.config["max_partition_fetch_bytes"] = size


class _PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]  # the client ships no types
    """The batches of one partition in a fetch. It yields their committed records, and adds their holes to `holes`."""

    next_fetch_offset: int

    def __init__(self, holes: Holes, *arguments: Any, **more: Any) -> None:
        self._holes = holes
        super().__init__(*arguments, **more)

    def _unpack_records(self, place: Any, batches: Iterable[Any], *_: object) -> Iterator[FetchedRecord]:
        """Overrides the library's generator. `next_fetch_offset` is the first offset of which nothing is known yet."""
        for batch in batches:
            self._begin(batch)
            if not self._is_invisible(batch):
                yield from self._records(place, batch)
            if batch.magic >= _OFFSETS_KNOWN:
                self._miss(batch.next_offset)
        self.drain()

    def _begin(self, batch: Any) -> None:
        """Check a batch. Offsets before it are a hole. Raises CorruptRecordError."""
        if self.check_crcs and not batch.validate_crc():
            raise CorruptRecordError(
                f"the batch at offset {batch.base_offset} of {self.topic_partition} has a wrong checksum"
            )
        self.bytes_read += batch.size_in_bytes
        if batch.magic >= _OFFSETS_KNOWN:
            self.leader_epoch = batch.leader_epoch
            self._miss(batch.base_offset)

    def _miss(self, end: int) -> None:
        """Pass the offsets before `end`, if there are any: they are a hole."""
        if end > self.next_fetch_offset:
            self._holes.add(self.topic_partition, self.next_fetch_offset, end)
            self.next_fetch_offset = end

    def _is_invisible(self, batch: Any) -> bool:
        """Whether a batch has a marker or aborted records. Its offsets are then explained."""
        if batch.magic < _OFFSETS_KNOWN:
            return False
        if batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
        if batch.is_control_batch:
            # It ends the transaction of its producer. Which way is not read: compaction can remove that record.
            self.aborted_producer_ids.discard(batch.producer_id)
        if batch.is_control_batch or self._is_batch_aborted(batch):
            self.next_fetch_offset = max(self.next_fetch_offset, batch.next_offset)
            return True
        return False

    def _records(self, place: Any, batch: Any) -> Iterator[FetchedRecord]:
        topic, partition = place
        for record in batch:
            offset = record.offset
            if offset < self.next_fetch_offset:  # the fetch began in the middle of the batch
                continue
            if offset > self.next_fetch_offset:
                self._miss(offset)
            self.next_fetch_offset = offset + 1
            yield FetchedRecord(topic, partition, offset, record.timestamp, record.key, record.value)
