"""The only Kafka: one member of a consumer group, whose positions live elsewhere.

The recipe and its traps (T1 …) are those of DESIGN.md, "Kafka"; decision 0002 tells which of them were seen here.
"""

import logging
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import (
    AuthorizationError,
    KafkaConfigurationError,
    KafkaError,
    KafkaTimeoutError,
    LogTruncationError,
    OffsetOutOfRangeError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)

from projector.batch import Polled
from projector.errors import BrokerAway, LogGap, Misconfigured, ProjectorError
from projector.kafka_security import Client
from projector.positions import remedy

log = logging.getLogger(__name__)

FRESH_POLL_MS = 100
POLL_MS = 500
KNOCK_SECONDS = 2.0
CLOSE_MS = 5_000
COMMIT_SECONDS = 1.0
LOOK_SECONDS = 2.0
_EVERYTHING = 2**31 - 1


class SourceSettings(NamedTuple):
    """How to reach the log, and how patient to be with it."""

    bootstrap_servers: str
    topic: str
    group_id: str
    group_instance_id: str | None = None
    session_timeout_ms: int = 12_000
    heartbeat_interval_ms: int = 3_000
    max_poll_interval_ms: int = 60_000
    metadata_max_age_ms: int = 15_000
    max_partition_fetch_bytes: int = 1024 * 1024
    security: Mapping[str, object] = {}
    """Further arguments of the Kafka client: security_protocol, sasl_*, ssl_*."""


class Span(NamedTuple):
    """What a partition's log holds: its first offset, and the offset after its last readable record."""

    beginning: int
    end: int


class Unread(NamedTuple):
    """What a partition's log holds, and the timestamp in ms of the first record behind a position, where one is."""

    span: Span
    first_timestamp: int | None


class KafkaSource:
    """A consumer that starts every partition paused, until `seat` says from where to read it.

    Not for use by several threads. Every method may raise BrokerAway; `close` raises nothing.
    """

    def __init__(self, settings: SourceSettings) -> None:
        self.settings = settings
        self.topic = settings.topic
        self.member = f"{socket.gethostname()}/{os.getpid()}"
        self._seats = _Seats()
        self._consumer: Any = None
        self._topic_id: str | None = None
        self._committed_at = 0.0

    # --- its life

    def open(self) -> None:
        """Join the group. Raises BrokerAway where no broker or no topic is there yet, Misconfigured if turned away."""
        knock(self.settings.bootstrap_servers)
        self._seats = _Seats()
        self._topic_id = None
        with _reactions():
            self._consumer = _consumer(_arguments(self.settings))
            self._seats.consumer = self._consumer
            self._consumer.subscribe([self.topic], listener=self._seats)
            partitions = self._consumer.partitions_for_topic(self.topic)
        if not partitions:
            self.close()
            raise BrokerAway(_no_topic(self.topic))
        self._topic_id = self.topic_id

    def close(self) -> None:
        """Leave the group, if the broker answers in time."""
        consumer, self._consumer = self._consumer, None
        self._seats = _Seats()
        if consumer is None:
            return
        try:
            consumer.close(autocommit=False, timeout_ms=CLOSE_MS)
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
    def fresh(self) -> list[int]:
        """Assigned partitions that wait for a seat."""
        return sorted(self._seats.fresh)

    @property
    def seated(self) -> dict[int, int]:
        """Partition → the offset up to which its records were handed out."""
        return dict(self._seats.seated)

    def span(self, partition: int) -> Span:
        """What the log of a partition holds now."""
        with _reactions():
            return _spans(self._consumer, self.topic, [partition])[partition]

    def seat(self, partition: int, offset: int, span: Span) -> None:
        """Read a fresh partition from `offset` on; raises LogGap where its log, which holds `span`, has it no more."""
        self._require(partition, offset, span)
        place = TopicPartition(self.topic, partition)
        if partition in self._seats.fresh:
            self._consumer.seek(place, offset)
            self._consumer.resume(place)
            self._seats.seat(partition, offset)

    def unseat(self) -> None:
        """Stop reading every partition, until it is claimed and seated again."""
        if self._consumer is not None:
            self._seats.make_fresh(self._consumer.assignment())

    def _require(self, partition: int, offset: int, span: Span) -> None:
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
            f"{span.beginning} to {span.end}: {lost}. {remedy(self.topic, partition)}"
        )

    # --- reading

    def poll(self) -> list[Polled]:
        """Everything that has arrived, partition by partition; empty where nothing has.

        Raises LogGap where a position left the log or the topic was made anew, BrokerAway where the consumer broke:
        close and open it then.
        """
        wait = FRESH_POLL_MS if self._seats.fresh or not self._seats.seated else POLL_MS
        with _reactions():
            try:
                found = self._consumer.poll(timeout_ms=wait, max_records=_EVERYTHING)  # all of it: T1
            except OffsetOutOfRangeError as error:
                for place, offset in error.args[0].items():
                    self._require(place.partition, offset, self.span(place.partition))
                return []  # the log came back to us in the meantime
        self._require_same_topic()
        # A rebalance that came while the records were handed out has taken some of the seats.
        return [self._polled(place, records) for place, records in found.items() if place.partition in self.seated]

    def drifted(self) -> list[Polled]:
        """Partitions whose position moved past markers and gaps without a record."""
        return [
            polled
            for partition in self.seated
            if (polled := self._polled(TopicPartition(self.topic, partition), [])).now != polled.was
        ]

    def _polled(self, place: TopicPartition, records: list[Any]) -> Polled:
        with _reactions():
            now = self._consumer.position(place, timeout_ms=POLL_MS)
        was = self._seats.seated[place.partition]
        now = was if now is None else now
        self._seats.seated[place.partition] = now
        return Polled(place.topic, place.partition, was, records, now)

    def _require_same_topic(self) -> None:
        if self._topic_id and (found := self.topic_id) and found != self._topic_id:
            raise LogGap(
                f"topic {self.topic} was deleted and made anew while it was read: it was {self._topic_id}, and is "
                f"{found} now. {remedy(self.topic, 0)} (and so for each of its partitions)"
            )

    # --- telling others

    def commit(self) -> None:
        """Once a second tell the group where we are, for lag tools; nothing here ever reads it back."""
        now = time.monotonic()
        if now - self._committed_at < COMMIT_SECONDS or not self._seats.seated:
            return
        self._committed_at = now
        places = {
            TopicPartition(self.topic, partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in self.seated.items()
        }
        try:
            self._consumer.commit_async(places, callback=_note_commit)
        except KafkaError as error:
            _note_commit(places, error)


class _Seats(ConsumerRebalanceListener):  # type: ignore[misc]  # the client ships no types
    """Who sits where; called by the client's I/O thread, but only while we are inside poll or close."""

    def __init__(self) -> None:
        self.consumer: Any = None
        self.fresh: set[int] = set()
        self.seated: dict[int, int] = {}

    def seat(self, partition: int, offset: int) -> None:
        self.fresh.discard(partition)
        self.seated[partition] = offset

    def make_fresh(self, places: Iterable[TopicPartition]) -> None:
        for place in places:
            self.consumer.pause(place)
            self.seated.pop(place.partition, None)
            self.fresh.add(place.partition)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        assigned = list(assigned)
        self.make_fresh(assigned)  # kept ones too: their position can be stale
        for place in assigned:
            self.consumer.seek(place, 0)  # a placeholder: without one each poll fails for want of an offset
        if assigned:
            log.info("partitions assigned", extra={"partitions": sorted(place.partition for place in assigned)})

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        partitions = sorted(place.partition for place in revoked)
        for partition in partitions:
            self.fresh.discard(partition)
            self.seated.pop(partition, None)
        if partitions:
            log.info("partitions revoked", extra={"partitions": partitions})

    on_partitions_lost = on_partitions_revoked


def unread(settings: SourceSettings, positions: Mapping[int, int]) -> dict[int, Unread]:
    """What each partition's log holds and what of it waits behind these positions; where there is none, all of it.

    Joins no group. Raises BrokerAway where Kafka or the topic is not there, Misconfigured where we are turned away.
    """
    with _onlooker(settings) as consumer:
        spans = _spans(consumer, settings.topic, consumer.partitions_for_topic(settings.topic))
        starts = {partition: max(positions.get(partition, 0), span.beginning) for partition, span in spans.items()}
        behind = {partition: start for partition, start in starts.items() if start < spans[partition].end}
        first = _first_timestamps(consumer, settings.topic, behind)
        return {partition: Unread(span, first.get(partition)) for partition, span in spans.items()}


def _first_timestamps(consumer: Any, topic: str, offsets: Mapping[int, int]) -> dict[int, int]:
    """Partition → timestamp of the first record at this offset or behind it, if it comes within two seconds."""
    found: dict[int, int] = {}
    consumer.assign([TopicPartition(topic, partition) for partition in offsets])
    for partition, offset in offsets.items():
        consumer.seek(TopicPartition(topic, partition), offset)
    until = time.monotonic() + LOOK_SECONDS
    while len(found) < len(offsets) and time.monotonic() < until:
        for place, records in consumer.poll(timeout_ms=FRESH_POLL_MS).items():
            found.setdefault(place.partition, records[0].timestamp)
            consumer.pause(place)
    return found


@contextmanager
def _onlooker(settings: SourceSettings) -> Iterator[Any]:
    """A consumer without a group; raises BrokerAway where the topic is not there."""
    knock(settings.bootstrap_servers)
    alone = {"group_id": None, "group_instance_id": None}
    little = {"max_partition_fetch_bytes": 1024, "fetch_max_bytes": 64 * 1024}
    with _reactions():
        consumer = _consumer({**_arguments(settings), **alone, **little})
        try:
            if not consumer.partitions_for_topic(settings.topic):
                raise BrokerAway(_no_topic(settings.topic))
            yield consumer
        finally:
            consumer.close(autocommit=False, timeout_ms=CLOSE_MS)


def _spans(consumer: Any, topic: str, partitions: Iterable[int]) -> dict[int, Span]:
    places = [TopicPartition(topic, partition) for partition in sorted(partitions)]
    beginnings, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
    return {place.partition: Span(beginnings[place], ends[place]) for place in places}


def _no_topic(topic: str) -> str:
    return f"topic {topic} does not exist: create it, or set PROJECTOR_TOPIC"


def knock(bootstrap_servers: str) -> None:
    """Raises BrokerAway where no bootstrap address answers: each consumer built in vain would leak a thread."""
    reasons = []
    for address in bootstrap_servers.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_SECONDS):
                return
        except ValueError as error:
            raise Misconfigured(f"PROJECTOR_BOOTSTRAP_SERVERS: {address!r} is not host:port") from error
        except OSError as error:
            reasons.append(f"{address.strip()}: {error.strerror or error}")
    raise BrokerAway("Kafka does not answer: " + "; ".join(reasons))


def _consumer(arguments: Mapping[str, object]) -> Any:
    """A consumer that knows its cluster; one that fails to is closed, or its thread would stay."""
    begun: list[Client] = []

    def begin(**configs: object) -> Client:
        begun.append(Client(**configs))
        return begun[0]

    try:
        return KafkaConsumer(**arguments, kafka_client=begin)
    except BaseException as error:
        for client in begun:
            client.close()
            if client.refusal:
                raise client.refusal from error
        if isinstance(error, KafkaTimeoutError):
            raise BrokerAway(
                f"Kafka takes connections at {arguments['bootstrap_servers']} and answers nothing: it is not up, or "
                f"speaks something else there than {arguments.get('security_protocol', 'PLAINTEXT')}"
            ) from error
        raise


def _arguments(settings: SourceSettings) -> dict[str, object]:
    return {
        "bootstrap_servers": settings.bootstrap_servers,
        "client_id": "projector",
        "group_id": settings.group_id,
        "group_instance_id": settings.group_instance_id,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
        "partition_assignment_strategy": (RangePartitionAssignor,),  # an eager one: T3
        "session_timeout_ms": settings.session_timeout_ms,
        "heartbeat_interval_ms": settings.heartbeat_interval_ms,
        "max_poll_interval_ms": settings.max_poll_interval_ms,
        "metadata_max_age_ms": settings.metadata_max_age_ms,
        "max_partition_fetch_bytes": settings.max_partition_fetch_bytes,
        "reconnect_backoff_max_ms": 1_000,
        "request_timeout_ms": 10_000,
        "bootstrap_timeout_ms": 10_000,  # a signal waits for it
        "metrics_enabled": False,
        **settings.security,
    }


@contextmanager
def _reactions() -> Iterator[None]:
    """Turn the client's errors into the reaction they ask for; one it never meant to raise is of a broken client."""
    try:
        yield
    except ProjectorError:
        raise
    except LogTruncationError as error:
        places = sorted(error.divergent_offsets)
        raise LogGap(
            f"the log of {places[0].topic} was truncated behind the position, in partitions "
            f"{[place.partition for place in places]}. {remedy(places[0].topic, places[0].partition)}"
        ) from error
    except _TURNED_AWAY as error:
        raise Misconfigured(f"Kafka does not let us in: {error}") from error
    except Exception as error:
        raise BrokerAway(f"the Kafka client failed: {error!r}") from error


_TURNED_AWAY = (
    AuthorizationError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
    KafkaConfigurationError,
)


def _note_commit(offsets: object, response: object) -> None:
    if isinstance(response, Exception):
        log.warning("the advisory commit to the group failed", extra={"error": repr(response)})
