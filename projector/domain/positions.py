"""Positions: what a partition holds, what a poll returned, and the fence under which a position moves."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from projector.contract.envelope import Record
from projector.errors import LogGap


class LogRange(NamedTuple):
    """Offsets of a partition: the first one, and the one after the last readable record."""

    beginning: int
    end: int


class Polled(NamedTuple):
    """What one partition returned: where reading started, the records, and the offset to read next.

    `next_offset` lies beyond the last record if transaction markers, aborted records or compacted offsets follow.
    `holes` are the offsets on the way that nothing explains: compaction removed their records.
    """

    topic: str
    partition: int
    start: int
    records: Sequence[Record]
    next_offset: int
    holes: Sequence[LogRange] = ()


class Move(NamedTuple):
    """A position before and after a batch. `record_at` is the timestamp of the last record."""

    topic: str
    partition: int
    start: int
    next_offset: int
    record_at: datetime | None = None


class Fence(NamedTuple):
    """What a batch must find unchanged when it is written: the positions, still owned by this token."""

    token: UUID
    moves: Sequence[Move]


class Position(NamedTuple):
    """The next offset to project of a partition, as stored.

    `topic_id` is Kafka's id of the topic, `record_at` the timestamp of the last projected record, if known.
    """

    topic: str
    partition: int
    offset: int
    topic_id: str | None = None
    record_at: datetime | None = None


def log_gap(position: Position, topic_id: str | None, log: LogRange | None) -> str | None:
    """What is lost between a stored position and the topic as it is now, in one sentence; None if nothing is.

    `topic_id` and `log` describe the topic now. None leaves a check out: brokers before 2.8 have no topic ids.
    """
    place = f"partition {position.partition} of {position.topic} was projected up to offset {position.offset}"
    if topic_id is not None and position.topic_id is not None and topic_id != position.topic_id:
        return (
            f"topic {position.topic} was deleted and created again: {place} of topic id {position.topic_id}, and the "
            f"topic now has id {topic_id}"
        )
    if log is None or log.beginning <= position.offset <= log.end:
        return None
    missing = position.offset - log.end
    lost = (
        f"{log.beginning - position.offset} records were deleted by retention before they were projected"
        if missing < 0
        else f"{missing} projected records are no longer there: it was truncated, or created again"
    )
    return f"{place}, and the partition holds {log.beginning} to {log.end}: {lost}"


def require_no_log_gap(position: Position, topic_id: str | None, log: LogRange | None) -> None:
    """Raise LogGap, with the remedy, if `log_gap` finds one."""
    if gap := log_gap(position, topic_id, log):
        raise LogGap(gap)
