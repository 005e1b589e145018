"""A member of the consumer group whose positions are stored in Postgres.

Decision 0002 explains the recipe and lists the client's traps T1 to T7.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import InconsistentGroupProtocolError, KafkaError, OffsetOutOfRangeError

from projector.domain.positions import LogRange, Polled, Position, require_no_log_gap
from projector.errors import BrokerUnavailable, LogGap, Misconfigured
from projector.kafka import compaction, connection, group, rebalance
from projector.kafka.assignment import Assignment
from projector.kafka.connection import ALL_RECORDS, POLL_MS
from projector.kafka.record_batches import Holes, collect, find_holes
from projector.kafka.refusals import Refusals
from projector.settings import KafkaSettings

log = logging.getLogger(__name__)

UNCLAIMED_POLL_MS = 100


class GroupConsumer:
    """A consumer that pauses every assigned partition until `start` sets the offset to read from.

    A partition is *unclaimed* (assigned and paused) or *active* (read). Not thread-safe. Every method may raise
    BrokerUnavailable, except `close`. The constructor raises Misconfigured if a certificate's file does not exist.
    `open` and `poll` raise Misconfigured if the group belongs to another application. `open` calls
    `before_first_join` once, when nothing but the join is left.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self.topic = settings.topic
        self.group_id = settings.group_id
        self._settings = settings
        # Built once: a missing certificate ends the process at its start only, whether or not Kafka answers.
        self._arguments = connection.arguments(settings)
        self.member = group.member_name()
        self.before_first_join: Callable[[], object] = lambda: None
        self._refusals = Refusals()
        self._assignment = Assignment()
        self._consumer: Any = None
        self._holes = Holes()
        self._topic_id: str | None = None
        self._received: int | None = None  # by the last fetch
        self._is_checked = False
        self._commits_fail_since: float | None = None

    # --- open and close

    def open(self) -> None:
        """Join the group. Raises BrokerUnavailable if no broker or no topic is there yet, Misconfigured if refused."""
        connection.require_reachable(self._settings.bootstrap_servers)
        self._assignment = Assignment()
        self._topic_id = self._received = None
        with self._errors():
            self._consumer = connection.consumer(self._arguments, self._settings)
        with self._errors():
            self._holes = find_holes(self._consumer)
            self._assignment.consumer = self._consumer
            rebalance.prepare(self._consumer)
            self._consumer.subscribe([self.topic], listener=self._assignment)
            partitions = self._consumer.partitions_for_topic(self.topic)
        if not partitions:
            self.close()
            raise BrokerUnavailable(connection.no_topic(self.topic))
        self._topic_id = self.topic_id
        if not self._is_checked:
            with self._errors():
                compaction.warn_if_compacted(self._consumer, self.topic)
                if others := group.others(self._consumer, self._settings.group_id):
                    raise Misconfigured(others)
                rebalance.find_coordinator(self._consumer)
            self.before_first_join()
            self._is_checked = True

    def close(self) -> None:
        """Leave the group, if the broker answers in time."""
        consumer, self._consumer = self._consumer, None
        self._assignment = Assignment()
        try:
            if consumer is not None:
                connection.close(consumer)
        except Exception as error:  # no error may keep the process from leaving
            log.warning("closing the consumer failed", extra={"error": repr(error)})

    def _errors(self) -> AbstractContextManager[None]:
        return self._refusals.errors(self._consumer)

    @property
    def is_open(self) -> bool:
        return self._consumer is not None

    @property
    def unreachable(self) -> str | None:
        """The sentence about brokers that cannot be reached. A poll only returns nothing of their partitions."""
        return connection.unreachable(self._consumer)

    @property
    def topic_id(self) -> str | None:
        """Kafka's id of the topic now."""
        with self._errors():
            return connection.topic_id(self._consumer, self.topic)

    @property
    def generation(self) -> int | None:
        with self._errors():
            return int(self._consumer.group_metadata().generation_id)

    # --- partitions

    @property
    def unclaimed(self) -> list[int]:
        """Assigned partitions that are not read yet."""
        return sorted(self._assignment.unclaimed)

    @property
    def active(self) -> dict[int, int]:
        """Partition → the offset after the last record that `poll` returned."""
        return dict(self._assignment.active)

    def log_ranges(self, partitions: Iterable[int]) -> dict[int, LogRange]:
        """Partition → the offsets that it holds now."""
        with self._errors():
            return connection.log_ranges(self._consumer, self.topic, partitions)

    @property
    def high_watermarks(self) -> dict[int, int]:
        """Active partition → its high watermark, as the last fetch returned it. Missing before the first fetch."""
        with self._errors():
            marks = {
                partition: self._consumer.highwater(TopicPartition(self.topic, partition)) for partition in self.active
            }
        return {partition: mark for partition, mark in marks.items() if mark is not None}

    def start(self, partition: int, offset: int, held: LogRange) -> None:
        """Read an unclaimed partition from `offset`. Raises LogGap if `held`, its offsets, does not contain it."""
        if offset > held.end:  # the owner before us may have moved on since `held` was read
            held = self.log_ranges([partition])[partition]
        require_no_log_gap(Position(self.topic, partition, offset), None, held)
        place = TopicPartition(self.topic, partition)
        if partition in self._assignment.unclaimed:
            with self._errors():
                self._consumer.seek(place, offset)
                self._consumer.resume(place)
            self._assignment.start(partition, offset)

    def pause_all(self) -> None:
        """Stop reading all partitions. Each is unclaimed until it is claimed and started again."""
        if self._consumer is not None:
            # Not `consumer.assignment()`: it holds revoked partitions until the rebalance ends.
            self._assignment.reset([TopicPartition(self.topic, partition) for partition in self.active])

    # --- reading

    def poll(self, *, wait: bool = True) -> list[Polled]:
        """Everything that has arrived, per partition. Empty if nothing has, also after the `wait`, or in a rebalance.

        Raises LogGap if a position is no longer in the topic or the topic was created again. Raises BrokerUnavailable
        if the consumer is broken: then close and open it.
        """
        is_idle = self._assignment.unclaimed or not self._assignment.active
        records: dict[TopicPartition, list[Any]] = {}
        with self._errors():
            timeout_ms = 0 if not wait else UNCLAIMED_POLL_MS if is_idle else collect(self._consumer, self._received)
            try:
                if not rebalance.join(self._consumer, timeout_ms):
                    # All records, so that none stays in the client's buffer: trap T1.
                    records = self._consumer.poll(timeout_ms=timeout_ms, max_records=ALL_RECORDS)
                    self._received = sum(map(len, records.values()))
            except OffsetOutOfRangeError as error:
                self._require_in_range(error.args[0])
                return []
            except InconsistentGroupProtocolError as error:
                raise Misconfigured(group.mismatch(self._consumer, self._settings.group_id)) from error
            connection.require_login(self._consumer)
        if self._received is not None:
            self._refusals.worked()
        self._require_same_topic()
        # A rebalance during the poll may have revoked some of the partitions.
        return [self._polled(place, found) for place, found in records.items() if place.partition in self.active]

    def _require_in_range(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Raise LogGap, unless the offsets are there again by now."""
        for place, offset in offsets.items():
            held = self.log_ranges([place.partition])[place.partition]
            require_no_log_gap(Position(self.topic, place.partition, offset), None, held)

    def _require_same_topic(self) -> None:
        if self._topic_id and (now := self.topic_id) and now != self._topic_id:
            raise LogGap(f"topic {self.topic} was deleted and created again: its id was {self._topic_id}, and is {now}")

    def advanced_without_records(self) -> list[Polled]:
        """Partitions whose position moved past markers and compacted offsets without a record."""
        places = [TopicPartition(self.topic, partition) for partition in self.active]
        polled = [self._polled(place, []) for place in places]
        return [each for each in polled if each.next_offset != each.start]

    def _polled(self, place: TopicPartition, records: list[Any]) -> Polled:
        with self._errors():
            position = self._consumer.position(place, timeout_ms=POLL_MS)
        start = self._assignment.active[place.partition]
        next_offset = max(position or start, records[-1].offset + 1 if records else start)
        self._assignment.active[place.partition] = next_offset
        holes = self._holes.take(place, LogRange(start, next_offset))
        return Polled(place.topic, place.partition, start, records, next_offset, holes)

    def note_success(self) -> bool:
        """Forget the unexpected errors before this if the consumer works: it reads a partition, or has joined without.

        Call it after all that is due was done. A poll that only takes part in a rebalance proves nothing.
        """
        has_joined = not self.unclaimed and (self.generation or 0) > 0
        if works := self._received is not None and (bool(self.active) or has_joined):
            connection.forget_unexpected_errors()
        return works

    # --- advisory commits

    def commit(self, positions: Mapping[int, int]) -> None:
        """Commit the positions (partition → offset) to the group for lag tools. The projector never reads them."""
        if not positions:
            return
        places = {
            TopicPartition(self.topic, partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in positions.items()
        }
        with self._errors():
            try:
                self._consumer.commit_async(places, callback=self._note_commit)
            except KafkaError as error:
                self._note_commit(places, error)

    def _note_commit(self, _: object, response: object) -> None:
        if not isinstance(response, Exception):
            self._commits_fail_since = None
            return
        self._commits_fail_since = self._commits_fail_since or time.monotonic()
        log.warning("the advisory commit to the group failed", extra={"error": repr(response)})

    @property
    def seconds_without_commit(self) -> float:
        """For how long commits have failed; 0 if they work. While a broker is down, polls only return nothing."""
        return time.monotonic() - self._commits_fail_since if self._commits_fail_since else 0.0
