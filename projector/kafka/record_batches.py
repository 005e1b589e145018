"""Record batches, as a fetch returns them: their records, and the offsets that nothing explains.

The offsets of a partition are contiguous. A transaction marker and a record of an aborted transaction have an offset
and are not returned: their batches explain it. An offset in no batch, or in a batch that no longer has its record, is a
*hole*: compaction removed the record.

This module replaces the step of kafka-python 3.0.12 that unpacks the batches (`Fetcher.PartitionRecords`).
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from kafka import KafkaConsumer
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError

from projector.domain.positions import LogRange
from projector.kafka.connection import POLL_MS
from projector.kafka.record_decoder import OFFSETS_KNOWN, Batch, Decoder, FetchedRecord, split

_STEADY_RECORDS = 3
_COLLECT = {"fetch_min_bytes": 64 * 1024, "fetch_max_wait_ms": 1}
_AT_ONCE = {name: KafkaConsumer.DEFAULT_CONFIG[name] for name in _COLLECT}
_STEADY_POLL_MS = 10


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


def collect(consumer: Any, polled: int | None) -> int:
    """Let brokers collect records for 1 ms before they answer, if the last poll returned several of them.

    A fetch and a transaction cost about as much for one record as for twenty. A record after a pause does not wait.
    Returns for how long (ms) the next poll may wait.
    """
    is_steady = (polled or 0) >= _STEADY_RECORDS
    consumer._fetcher.config.update(_COLLECT if is_steady else _AT_ONCE)
    return _STEADY_POLL_MS if is_steady else POLL_MS


class _PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]  # the client ships no types
    """The batches of one partition in a fetch. It yields their committed records, and adds their holes to `holes`."""

    next_fetch_offset: int

    def __init__(self, holes: Holes, *arguments: Any, **more: Any) -> None:
        self._holes = holes
        super().__init__(*arguments, **more)

    def _unpack_records(self, place: Any, response: Any, *_: object) -> Iterator[FetchedRecord]:
        """Overrides the library's generator. `next_fetch_offset` is the first offset of which nothing is known yet."""
        return chain.from_iterable(self._unpack(response._buffer, Decoder(place.topic, place.partition)))

    def take(self, _: int | None = None) -> list[FetchedRecord]:
        """Overrides the library's method: returns everything, since `next_fetch_offset` lies between two batches."""
        records: list[FetchedRecord] = super().take()
        return records

    def _unpack(self, response: bytes, decoder: Decoder) -> Iterator[list[FetchedRecord]]:
        """The committed records of each batch. Raises CorruptRecordError."""
        for batch in split(response):
            if self.check_crcs and not batch.has_valid_checksum():
                raise CorruptRecordError(
                    f"the batch at offset {batch.base_offset} of {self.topic_partition} has a wrong checksum"
                )
            self.bytes_read += len(batch.data)
            yield self._pass(decoder.records(batch)) if batch.magic < OFFSETS_KNOWN else self._read(batch, decoder)
        self.drain()

    def _read(self, batch: Batch, decoder: Decoder) -> list[FetchedRecord]:
        """The records of a batch. Its offsets without a record, and those before it, are holes."""
        self.leader_epoch = batch.leader_epoch
        is_explained = self._is_explained(batch)
        records = [] if is_explained else decoder.records(batch)
        end = batch.last_offset + 1
        self._miss(batch.base_offset)
        if is_explained:
            self.next_fetch_offset = max(self.next_fetch_offset, end)
        records = self._pass(records)
        self._miss(end)
        return records

    def _is_explained(self, batch: Batch) -> bool:
        """Whether a batch has a marker or aborted records: they have offsets and are not returned."""
        if batch.producer_id >= 0:
            self._consume_aborted_transactions_up_to(batch.last_offset)
        if batch.is_control_batch:
            # It ends the transaction of its producer. Which way is not read: compaction can remove that record.
            self.aborted_producer_ids.discard(batch.producer_id)
        return batch.is_control_batch or bool(self._is_batch_aborted(batch))

    def _pass(self, records: list[FetchedRecord]) -> list[FetchedRecord]:
        """Pass these records, and the holes between them. Returns them without those before the fetched offset."""
        if records and self.next_fetch_offset == records[0].offset == records[-1].offset - len(records) + 1:
            self.next_fetch_offset += len(records)
            return records
        return [record for record in records if self._pass_one(record.offset)]

    def _pass_one(self, offset: int) -> bool:
        """Whether the offset was not passed before: a fetch can begin in the middle of a batch."""
        self._miss(offset)
        is_new = offset == self.next_fetch_offset
        self.next_fetch_offset += is_new
        return is_new

    def _miss(self, end: int) -> None:
        """Pass the offsets before `end`, if there are any: they are a hole."""
        if end > self.next_fetch_offset:
            self._holes.add(self.topic_partition, self.next_fetch_offset, end)
            self.next_fetch_offset = end
