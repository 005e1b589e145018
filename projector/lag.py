"""Lag: how far the view is behind the log, partition by partition."""

import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from projector.contract.fields import recorded_at
from projector.domain.positions import LogRange
from projector.kafka.connection import KafkaSettings
from projector.kafka.reader import TopicReader, open_topic
from projector.postgres.queries import Position

LOOK_SECONDS = 2.0
_LOOK_BYTES = 64 * 1024


class Backlog(NamedTuple):
    """What a partition's log holds, and the timestamp in ms of the first record behind a position, where one is."""

    span: LogRange
    first_timestamp: int | None


def backlog(settings: KafkaSettings, positions: Mapping[int, int]) -> dict[int, Backlog]:
    """What each partition's log holds and what of it waits behind these positions; where there is none, all of it.

    Joins no group. Raises BrokerAway where Kafka or the topic is not there, Misconfigured where we are turned away.
    """
    with open_topic(settings, fetch_bytes=_LOOK_BYTES) as topic:
        held = topic.log_ranges()
        starts = {partition: max(positions.get(partition, 0), span.beginning) for partition, span in held.items()}
        behind = {partition: LogRange(start, held[partition].end) for partition, start in starts.items()}
        first = _first_timestamps(topic, behind)
        return {partition: Backlog(span, first.get(partition)) for partition, span in held.items()}


def _first_timestamps(topic: TopicReader, behind: Mapping[int, LogRange]) -> dict[int, int]:
    """Partition → timestamp of the first record within these offsets, if it comes within two seconds."""
    found: dict[int, int] = {}
    wanted = sum(span.beginning < span.end for span in behind.values())
    until = time.monotonic() + LOOK_SECONDS
    for polled in topic.read(behind) if wanted else ():
        for part in polled:
            if part.records and part.records[0].timestamp is not None:
                found.setdefault(part.partition, part.records[0].timestamp)
        if len(found) == wanted or time.monotonic() > until:
            break
    return found


class Partition(NamedTuple):
    """How a partition stands; what Kafka did not tell is None, and so is what does not exist yet.

    `lost_records` are gone from the log and were never projected: then `run` stops, and says what to do.
    """

    partition: int
    position: int | None
    beginning: int | None
    end: int | None
    lag_records: int | None
    lag_seconds: float | None
    lost_records: int
    owner: str | None
    claimed_at: datetime | None
    moved_at: datetime | None
    record_at: datetime | None


def partitions(positions: Iterable[Position], log: Mapping[int, Backlog], *, at: datetime) -> list[Partition]:
    """Every partition that has a position or a log, in order; lag in seconds is the age of what waits first."""
    known = {position.partition: position for position in positions}
    return [_partition(number, known.get(number), log.get(number), at) for number in sorted(known.keys() | log.keys())]


def _partition(number: int, position: Position | None, unread: Backlog | None, at: datetime) -> Partition:
    offset = position.next_offset if position else None
    span = unread.span if unread else None
    lag = None if span is None else span.end - max(span.beginning if offset is None else offset, span.beginning)
    return Partition(
        partition=number,
        position=offset,
        beginning=span.beginning if span else None,
        end=span.end if span else None,
        lag_records=None if lag is None else max(lag, 0),
        lag_seconds=_seconds(lag, position, unread, at),
        lost_records=0 if span is None or offset is None else max(span.beginning - offset, 0),
        owner=position.member if position else None,
        claimed_at=position.claimed_at if position else None,
        moved_at=position.moved_at if position else None,
        record_at=position.record_at if position else None,
    )


def _seconds(lag: int | None, position: Position | None, unread: Backlog | None, at: datetime) -> float | None:
    if lag is None or unread is None:
        return None
    if lag <= 0:
        return 0.0
    oldest = recorded_at(unread.first_timestamp) or (position.record_at if position else None)
    return None if oldest is None else max((at - oldest).total_seconds(), 0.0)
