"""A member of the consumer group, whose positions live elsewhere.

The recipe and its traps (T1 …) are those of DESIGN.md, "Kafka"; decision 0002 tells where this departs from it.
"""

import logging
import os
import socket
import time
from collections.abc import Iterable, Mapping
from typing import Any

from kafka import ConsumerRebalanceListener, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError

from projector.domain.positions import LogRange, Polled, log_gap_remedy
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

log = logging.getLogger(__name__)

FRESH_POLL_MS = 100
POLL_MS = 500
_EVERYTHING = 2**31 - 1


class GroupConsumer:
    """A consumer that starts every partition paused, until `seat` says from where to read it.

    Not for use by several threads. Every method may raise BrokerAway; `close` raises nothing.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings
        self.topic = settings.topic
        self.member = f"{socket.gethostname()}/{os.getpid()}"
        self._seats = _Assignment()
        self._consumer: Any = None
        self._topic_id: str | None = None
        self._unheard_since: float | None = None

    # --- its life

    def open(self) -> None:
        """Join the group. Raises BrokerAway where no broker or no topic is there yet, Misconfigured if turned away."""
        require_reachable(self.settings.bootstrap_servers)
        self._seats = _Assignment()
        self._topic_id = None
        with mapped_errors():
            self._consumer = consumer(arguments(self.settings))
            self._seats.consumer = self._consumer
            self._consumer.subscribe([self.topic], listener=self._seats)
            partitions = self._consumer.partitions_for_topic(self.topic)
        if not partitions:
            self.close()
            raise BrokerUnavailable(no_topic(self.topic))
        self._topic_id = self.topic_id

    def close(self) -> None:
        """Leave the group, if the broker answers in time."""
        consumer, self._consumer = self._consumer, None
        self._seats = _Assignment()
        if consumer is None:
            return
        try:
            close(consumer)
        except Exception as error:  # whatever it is, we are leaving
            log.warning("closing the consumer failed", extra={"error": repr(error)})

    @property
    def is_open(self) -> bool:
        return self._consumer is not None

    @property
    def topic_id(self) -> str | None:
        """Kafka's id of the topic, by which one that was made anew is told from the old one; none before Kafka 2.8."""
        found = self._consumer._cluster.topic_id(self.topic)  # the client has no public way without another connection
        return str(found) if found else None

    @property
    def generation(self) -> int | None:
        return int(self._consumer.group_metadata().generation_id)

    # --- partitions: fresh ones are assigned and paused; seated ones are read

    @property
    def unclaimed(self) -> list[int]:
        """Assigned partitions that wait for a seat."""
        return sorted(self._seats.unclaimed)

    @property
    def active(self) -> dict[int, int]:
        """Partition → the offset up to which its records were handed out."""
        return dict(self._seats.active)

    def log_ranges(self, partitions: Iterable[int]) -> dict[int, LogRange]:
        """What the logs of these partitions hold now."""
        with mapped_errors():
            return log_ranges(self._consumer, self.topic, partitions)

    def start(self, partition: int, offset: int, span: LogRange) -> None:
        """Read a fresh partition from `offset` on; raises LogGap where its log, which holds `span`, has it no more."""
        if offset > span.end:  # the owner before us may have moved on since
            span = self.log_ranges([partition])[partition]
        self._require(partition, offset, span)
        place = TopicPartition(self.topic, partition)
        if partition in self._seats.unclaimed:
            with mapped_errors():
                self._consumer.seek(place, offset)
                self._consumer.resume(place)
            self._seats.start(partition, offset)

    def pause_all(self) -> None:
        """Stop reading every partition, until it is claimed and seated again."""
        if self._consumer is not None:
            # Not the consumer's assignment: that holds revoked partitions until the group has settled.
            self._seats.reset([TopicPartition(self.topic, partition) for partition in self.active])

    def _require(self, partition: int, offset: int, span: LogRange) -> None:
        """Raises LogGap where `offset` is not within the log, and says how many records are lost for sure."""
        if span.beginning <= offset <= span.end:
            return
        lost = (
            f"{span.beginning - offset} records are gone for sure (retention passed the position)"
            if offset < span.beginning
            else f"{offset - span.end} projected records are no longer in it (it was truncated, or made anew)"
        )
        raise LogGap(
            f"partition {partition} of {self.topic} was projected up to offset {offset}, and its log holds "
            f"{span.beginning} to {span.end}: {lost}. {log_gap_remedy()}"
        )

    # --- reading

    def poll(self, *, wait: bool = True) -> list[Polled]:
        """Everything that has arrived, partition by partition; empty where nothing has, not even after a `wait`.

        Raises LogGap where a position left the log or the topic was made anew, BrokerAway where the consumer broke:
        close and open it then.
        """
        patience = 0 if not wait else FRESH_POLL_MS if self._seats.unclaimed or not self._seats.active else POLL_MS
        with mapped_errors():
            self._resume_rejoin()
            try:
                found = self._consumer.poll(timeout_ms=patience, max_records=_EVERYTHING)  # all of it: T1
            except OffsetOutOfRangeError as error:
                for place, offset in error.args[0].items():
                    self._require(place.partition, offset, self.log_ranges([place.partition])[place.partition])
                return []  # the log came back to us in the meantime
        self._require_same_topic()
        # A rebalance that came while the records were handed out has taken some of the seats.
        return [self._polled(place, records) for place, records in found.items() if place.partition in self.active]

    def _resume_rejoin(self) -> None:
        """Hold the client to a join that it has begun: where the reason has gone away, 3.0.12 forgets it (0002)."""
        if self._consumer._coordinator.rejoining:
            self._consumer._coordinator.request_rejoin()

    def advanced_without_records(self) -> list[Polled]:
        """Partitions whose position moved past markers and gaps without a record."""
        return [
            polled
            for partition in self.active
            if (polled := self._polled(TopicPartition(self.topic, partition), [])).next_offset != polled.start
        ]

    def _polled(self, place: TopicPartition, records: list[Any]) -> Polled:
        with mapped_errors():
            now = self._consumer.position(place, timeout_ms=POLL_MS)
        start = self._seats.active[place.partition]
        now = max(now or start, records[-1].offset + 1 if records else start)
        self._seats.active[place.partition] = now
        return Polled(place.topic, place.partition, start, records, now)

    def _require_same_topic(self) -> None:
        if self._topic_id and (found := self.topic_id) and found != self._topic_id:
            raise LogGap(
                f"topic {self.topic} was deleted and made anew while it was read: it was {self._topic_id}, and is "
                f"{found} now. {log_gap_remedy()}"
            )

    # --- telling others

    def commit(self, positions: Mapping[int, int]) -> None:
        """Tell the group where we are (partition → offset), for lag tools; nothing here ever reads it back."""
        if not positions:
            return
        places = {
            TopicPartition(self.topic, partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in positions.items()
        }
        try:
            self._consumer.commit_async(places, callback=self._note_commit)
        except KafkaError as error:
            self._note_commit(places, error)

    def _note_commit(self, _: object, response: object) -> None:
        if not isinstance(response, Exception):
            self._unheard_since = None
            return
        self._unheard_since = self._unheard_since or time.monotonic()
        log.warning("the advisory commit to the group failed", extra={"error": repr(response)})

    @property
    def seconds_without_commit(self) -> float:
        """For how long no advisory commit got through: while a broker is away, polls are merely empty."""
        return time.monotonic() - self._unheard_since if self._unheard_since else 0.0


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]  # the client ships no types
    """Who sits where; called by the client's I/O thread, but only while we are inside poll or close."""

    def __init__(self) -> None:
        self.consumer: Any = None
        self.unclaimed: set[int] = set()
        self.active: dict[int, int] = {}

    def start(self, partition: int, offset: int) -> None:
        self.unclaimed.discard(partition)
        self.active[partition] = offset

    def reset(self, places: Iterable[TopicPartition]) -> None:
        for place in places:
            self.consumer.pause(place)
            self.active.pop(place.partition, None)
            self.unclaimed.add(place.partition)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        assigned = list(assigned)
        self.unclaimed.clear()
        self.active.clear()
        self.reset(assigned)  # kept ones too: their position can be stale
        for place in assigned:
            self.consumer.seek(place, 0)  # a placeholder: without one each poll fails for want of an offset
        if assigned:
            log.info("partitions assigned", extra={"partitions": sorted(place.partition for place in assigned)})

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        partitions = sorted(place.partition for place in revoked)
        for partition in partitions:
            self.unclaimed.discard(partition)
            self.active.pop(partition, None)
        if partitions:
            log.info("partitions revoked", extra={"partitions": partitions})

    on_partitions_lost = on_partitions_revoked
