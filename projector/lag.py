"""Lag: how far the view is behind the log, partition by partition."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from events.fields import recorded_at
from projector.onlooker import Unread
from projector.views import Position


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


def partitions(positions: Iterable[Position], log: Mapping[int, Unread], *, at: datetime) -> list[Partition]:
    """Every partition that has a position or a log, in order; lag in seconds is the age of what waits first."""
    known = {position.partition: position for position in positions}
    return [_partition(number, known.get(number), log.get(number), at) for number in sorted(known.keys() | log.keys())]


def _partition(number: int, position: Position | None, unread: Unread | None, at: datetime) -> Partition:
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


def _seconds(lag: int | None, position: Position | None, unread: Unread | None, at: datetime) -> float | None:
    if lag is None or unread is None:
        return None
    if lag <= 0:
        return 0.0
    oldest = recorded_at(unread.first_timestamp) or (position.record_at if position else None)
    return None if oldest is None else max((at - oldest).total_seconds(), 0.0)
