"""The topic from outside of the group: what its log holds, and its records from one offset up to another."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kafka import TopicPartition
from kafka.errors import OffsetOutOfRangeError
from kafka.partitioner.default import murmur2

from projector.domain.positions import LogRange, Polled
from projector.errors import BrokerUnavailable, LogGap
from projector.kafka.connection import (
    KafkaSettings,
    arguments,
    close,
    consumer,
    log_ranges,
    mapped_errors,
    no_topic,
    require_reachable,
)

POLL_MS = 500
SILENT_SECONDS = 30.0
"""A log that is known to go on, and gives nothing for so long, is away: the client only ever returns nothing."""
OPENING_RECORDS = 20
_EVERYTHING = 2**31 - 1


class TopicReader:
    """A topic as a consumer of its own reads it. Every method may raise BrokerAway; not for use by several threads."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self.name = name
        self.partitions: list[int] = sorted(client.partitions_for_topic(name) or ())

    @property
    def topic_id(self) -> str | None:
        """Kafka's id of the topic, by which one that was made anew is told from the old one; none before Kafka 2.8."""
        found = self._client._cluster.topic_id(self.name)  # the client has no public way without another connection
        return str(found) if found else None

    def partition_of(self, key: bytes) -> int:
        """The partition in which a producer puts this key, if it shares them out as Kafka's own clients do."""
        hashed: int = murmur2(key) & 0x7FFFFFFF
        return self.partitions[hashed % len(self.partitions)]

    def log_ranges(self, partitions: Iterable[int] | None = None) -> dict[int, LogRange]:
        """What the logs of these partitions, or of all, hold now."""
        with mapped_errors():
            return log_ranges(self._client, self.name, self.partitions if partitions is None else partitions)

    def offsets_at(self, times: Mapping[int, int]) -> dict[int, int]:
        """Partition → the first offset whose record is of this time (ms since 1970) or later, where there is one."""
        with mapped_errors():
            found = self._client.offsets_for_times(
                {TopicPartition(self.name, partition): at for partition, at in times.items()}
            )
        return {place.partition: each.offset for place, each in found.items() if each is not None}

    def first_timestamps(self, partition: int, span: LogRange) -> list[int]:
        """The timestamps, in ms since 1970, of the first few records within these offsets that have one."""
        for polled in self.read({partition: span}):
            for part in polled:
                times = [record.timestamp for record in part.records[:OPENING_RECORDS]]
                if found := [time for time in times if time is not None and time >= 0]:
                    return found
        return []

    def read(self, ranges: Mapping[int, LogRange], *, silent_seconds: float | None = None) -> Iterator[list[Polled]]:
        """The records of these partitions within these offsets, a list for each poll, until all are read.

        What a poll gives is whole: `was` and `now` of one partition join up, across markers and gaps too; a poll that
        gave nothing is an empty list. Raises LogGap where an offset is not, or no longer, in the log, BrokerAway where
        nothing comes for `silent_seconds`.
        """
        patience = SILENT_SECONDS if silent_seconds is None else silent_seconds
        reached = {partition: span.beginning for partition, span in ranges.items() if span.beginning < span.end}
        with mapped_errors():
            self._client.unsubscribe()  # or what an earlier read paused would stay so
            self._client.assign([TopicPartition(self.name, partition) for partition in reached])
            for partition, offset in reached.items():
                self._client.seek(TopicPartition(self.name, partition), offset)
        heard_at = time.monotonic()
        while reached:
            polled = [part for part in self._poll(reached, ranges) if part.next_offset > part.start]
            if not polled and time.monotonic() - heard_at > patience:
                raise BrokerUnavailable(f"{self.name} gave no record for {patience:.0f} s, and it has more of them")
            silent_at = time.monotonic()
            yield polled
            if polled:
                heard_at = time.monotonic()
            else:
                heard_at += time.monotonic() - silent_at  # the reader's own time is not the log's

    def _poll(self, reached: dict[int, int], ranges: Mapping[int, LogRange]) -> list[Polled]:
        """One poll; moves `reached` on, and leaves out of it what has reached its end."""
        with mapped_errors():
            try:
                found = self._client.poll(timeout_ms=POLL_MS, max_records=_EVERYTHING)
            except OffsetOutOfRangeError as error:
                raise self._gone(error.args[0]) from error
            polled = []
            for partition, start in list(reached.items()):
                place, end = TopicPartition(self.name, partition), ranges[partition].end
                records = found.get(place, [])
                now = min(end, self._client.position(place, timeout_ms=POLL_MS) or start)
                if records and records[-1].offset >= end:
                    records = [record for record in records if record.offset < end]
                polled.append(Polled(self.name, partition, start, records, now))
                reached[partition] = now
                if now == end:
                    self._client.pause(place)
                    del reached[partition]
        return polled

    def _gone(self, offsets: Mapping[Any, int]) -> LogGap:
        place, offset = next(iter(offsets.items()))
        span = self.log_ranges([place.partition])[place.partition]
        return LogGap(
            f"offset {offset} is not in partition {place.partition} of {self.name}, whose log holds "
            f"{span.beginning} to {span.end}: retention took the records while they were read, or the topic was made "
            "anew; begin again"
        )


@contextmanager
def open_topic(settings: KafkaSettings, *, fetch_bytes: int | None = None) -> Iterator[TopicReader]:
    """The topic, read by a consumer that joins no group and commits nothing.

    `fetch_bytes` bounds what a fetch brings of all partitions. Raises BrokerAway where Kafka or the topic is not there,
    Misconfigured where we are turned away.
    """
    require_reachable(settings.bootstrap_servers)
    alone: dict[str, object] = {"group_id": None, "group_instance_id": None}
    if fetch_bytes is not None:
        alone |= {"max_partition_fetch_bytes": fetch_bytes, "fetch_max_bytes": fetch_bytes}
    with mapped_errors():
        client = consumer({**arguments(settings), **alone})
    try:
        with mapped_errors():
            topic = TopicReader(client, settings.topic)
        if not topic.partitions:
            raise BrokerUnavailable(no_topic(settings.topic))
        yield topic
    finally:
        close(client)
