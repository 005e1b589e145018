"""The topic read from outside of the group: what it holds, and its records between two offsets."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka import TopicPartition
from kafka.errors import OffsetOutOfRangeError
from kafka.partitioner.default import murmur2

from projector.domain.merge import Merge, Merged
from projector.domain.positions import LogRange, Polled
from projector.errors import BrokerUnavailable, LogGap, TopicMissing
from projector.kafka import compaction, connection, record_batches
from projector.kafka.connection import ALL_RECORDS, POLL_MS, mapped_errors
from projector.kafka.group import Group, describe
from projector.kafka.record_batches import Holes
from projector.settings import KafkaSettings

SILENT_SECONDS = 30.0
"""If records must follow and none comes for this long, Kafka is unavailable: the client only returns nothing."""
FIRST_RECORDS = 20
_WITHOUT_GROUP = {
    "group_id": None,
    "group_instance_id": None,
    # A reader waits only for records that exist. A fetch of partitions that are read must not delay that of the others.
    "fetch_max_wait_ms": 50,
}
MERGE_BYTES = 32 * 1024 * 1024
"""About how many bytes of records a merge holds."""
MIN_BYTES = 16 * 1024
"""A smaller fetch per partition costs more requests than it saves memory."""


class TopicReader:
    """A topic, read by a consumer without a group. Not thread-safe. Every method may raise BrokerUnavailable."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._holes = Holes()
        self._partition_bytes: int = client.config["max_partition_fetch_bytes"]
        self.name = name
        self.partitions: list[int] = sorted(client.partitions_for_topic(name) or ())

    @property
    def topic_id(self) -> str | None:
        """Kafka's id of the topic now."""
        return connection.topic_id(self._client, self.name)

    def cleanup_policy(self) -> str | None:
        """The topic's `cleanup.policy`, or None if the user may not describe the topic's configs."""
        with mapped_errors(self._client):
            return compaction.cleanup_policy(self._client, self.name)

    def group(self, group_id: str) -> Group:
        """The consumer group. Raises Misconfigured if the user may not describe it."""
        with mapped_errors(self._client):
            return describe(self._client, group_id)

    def warn_if_compacted(self) -> None:
        """Log that the topic cannot be projected completely, if it is compacted."""
        with mapped_errors(self._client):
            compaction.warn_if_compacted(self._client, self.name)

    def partition_of(self, key: bytes) -> int:
        """The partition that the default partitioner of Kafka's own clients gives this key."""
        hashed: int = murmur2(key) & 0x7FFFFFFF
        return self.partitions[hashed % len(self.partitions)]

    def log_ranges(self, partitions: Iterable[int] | None = None) -> dict[int, LogRange]:
        """Partition → the offsets that it holds now. None means all partitions."""
        with mapped_errors(self._client):
            return connection.log_ranges(self._client, self.name, self.partitions if partitions is None else partitions)

    def offsets_at(self, times: Mapping[int, int]) -> dict[int, int]:
        """Partition → the first offset whose timestamp is this one (ms since 1970) or later, if there is one."""
        with mapped_errors(self._client):
            found = self._client.offsets_for_times(
                {TopicPartition(self.name, partition): at for partition, at in times.items()}
            )
        return {place.partition: each.offset for place, each in found.items() if each is not None}

    def next_timestamp(self, at: int) -> int | None:
        """The timestamp (ms since 1970) of the first record of this time or later, of any partition."""
        with mapped_errors(self._client):
            found = self._client.offsets_for_times(
                {TopicPartition(self.name, partition): at for partition in self.partitions}
            )
        return min((each.timestamp for each in found.values() if each is not None), default=None)

    def first_timestamps(self, partition: int, within: LogRange) -> list[int]:
        """The timestamps (ms since 1970) of the first few records in these offsets that have one."""
        for polled in self.read({partition: within}):
            for part in polled:
                times = [record.timestamp for record in part.records[:FIRST_RECORDS]]
                if found := [time for time in times if time is not None and time >= 0]:
                    return found
        return []

    def read(
        self,
        ranges: Mapping[int, LogRange],
        *,
        silent_seconds: float | None = None,
        ahead: Callable[[], Collection[int]] = tuple,
        partition_bytes: int | None = None,
    ) -> Iterator[list[Polled]]:
        """The records of these partitions within these offsets: one list per poll, until all are read.

        Each `start` of a partition is its last `next_offset`, also across markers and compacted offsets. A poll that
        returned nothing gives an empty list. Partitions in `ahead()` are not read for the moment. One fetch returns at
        most `partition_bytes` of a partition, and at least one batch. Raises LogGap if an offset is not, or no longer,
        in the topic. Raises BrokerUnavailable if nothing comes for `silent_seconds`.
        """
        patience = SILENT_SECONDS if silent_seconds is None else silent_seconds
        reached = {partition: within.beginning for partition, within in ranges.items() if within.beginning < within.end}
        with mapped_errors(self._client):
            self._client.unsubscribe()  # else a partition that an earlier read paused would stay paused
            self._client.assign([TopicPartition(self.name, partition) for partition in reached])
            self._holes = record_batches.find_holes(self._client)
            limit = min(partition_bytes or self._partition_bytes, self._partition_bytes)
            record_batches.limit_partition_fetch(self._client, limit)
            for partition, offset in reached.items():
                self._client.seek(TopicPartition(self.name, partition), offset)
        received_at = time.monotonic()
        while reached:
            self._pause(reached.keys() & set(ahead()), reached)
            polled = [part for part in self._poll(reached, ranges) if part.next_offset > part.start]
            if not polled and time.monotonic() - received_at > patience:
                silent = f"{self.name} returned no record for {patience:.0f} s, though it has more"
                raise BrokerUnavailable(connection.unreachable(self._client) or silent)
            yielded_at = time.monotonic()
            yield polled
            if polled:
                received_at = time.monotonic()
            else:
                received_at += time.monotonic() - yielded_at  # the caller's own time does not count

    def read_merged(
        self,
        ranges: Mapping[int, LogRange],
        *,
        before: Mapping[int, int] | None = None,
        silent_seconds: float | None = None,
    ) -> Iterator[Merged]:
        """The records of these partitions within these offsets, in merged order: see `Merge`, also for `before`.

        Holds about MERGE_BYTES of records. A partition that is far ahead of the others is not read for the moment.
        Raises as `read`.
        """
        left = {partition: within for partition, within in ranges.items() if within.beginning < within.end}
        if len(left) < 2:
            for polled in self.read(left, silent_seconds=silent_seconds):
                yield from (Merged(part.records, [part]) for part in polled)
            return
        merge, share = Merge(left, before), MERGE_BYTES // len(left)

        def ahead() -> list[int]:
            return [partition for partition, size in merge.sizes().items() if size >= share]

        for polled in self.read(
            left, silent_seconds=silent_seconds, ahead=ahead, partition_bytes=max(share, MIN_BYTES)
        ):
            for part in polled:
                merge.add(part, is_end=part.next_offset == left[part.partition].end)
            yield merge.take()

    def _pause(self, ahead: Collection[int], reached: Iterable[int]) -> None:
        """Read these partitions of `reached` later, and the others now."""
        paused = {place.partition for place in self._client.paused()}
        for partition in reached:
            if (partition in ahead) != (partition in paused):
                change = self._client.pause if partition in ahead else self._client.resume
                change(TopicPartition(self.name, partition))

    def _poll(self, reached: dict[int, int], ranges: Mapping[int, LogRange]) -> list[Polled]:
        """One poll. Advances `reached`, and removes a partition from it at its end."""
        with mapped_errors(self._client):
            try:
                found = self._client.poll(timeout_ms=POLL_MS, max_records=ALL_RECORDS)
            except OffsetOutOfRangeError as error:
                raise self._gap(error.args[0]) from error
            paused = self._client.paused()
            polled = []
            for partition, start in list(reached.items()):
                place, end = TopicPartition(self.name, partition), ranges[partition].end
                if place in paused:
                    continue
                records = found.get(place, [])
                next_offset = min(end, self._client.position(place, timeout_ms=POLL_MS) or start)
                if records and records[-1].offset >= end:
                    records = [record for record in records if record.offset < end]
                holes = self._holes.take(place, LogRange(start, next_offset))
                polled.append(Polled(self.name, partition, start, records, next_offset, holes))
                reached[partition] = next_offset
                if next_offset == end:
                    self._client.pause(place)
                    del reached[partition]
        return polled

    def _gap(self, offsets: Mapping[Any, int]) -> LogGap:
        place, offset = next(iter(offsets.items()))
        held = self.log_ranges([place.partition])[place.partition]
        return LogGap(
            f"offset {offset} is not in partition {place.partition} of {self.name}, which holds {held.beginning} to "
            f"{held.end}: retention deleted the records while they were read, or the topic was created again",
            remedy="Run the command again",
        )


@contextmanager
def open_topic(
    settings: KafkaSettings, *, fetch_bytes: int | None = None, uncommitted: bool = False
) -> Iterator[TopicReader]:
    """The topic, read by a consumer that joins no group and commits nothing.

    `fetch_bytes` limits one fetch over all partitions. `uncommitted`: also what is in open and aborted transactions;
    the end of a partition is then its high watermark. Raises BrokerUnavailable if Kafka or the topic is not there,
    Misconfigured if access is refused.
    """
    arguments = connection.arguments(settings) | _WITHOUT_GROUP
    if uncommitted:
        arguments |= {"isolation_level": "read_uncommitted"}
    if fetch_bytes is not None:
        arguments |= {"max_partition_fetch_bytes": fetch_bytes, "fetch_max_bytes": fetch_bytes}
    connection.require_reachable(settings.bootstrap_servers)
    with mapped_errors():
        client = connection.consumer(arguments, settings)
    try:
        with mapped_errors(client):
            reader = TopicReader(client, settings.topic)
        if not reader.partitions:
            with mapped_errors(client):
                others = client.topics()
            raise TopicMissing(connection.no_topic(settings.topic, others))
        yield reader
    finally:
        connection.close(client)
