"""Positions: what a partition's log holds, what a poll gave, and the fence under which a position moves."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from projector.contract.envelope import Record


class LogRange(NamedTuple):
    """What a partition's log holds: its first offset, and the offset after its last readable record."""

    beginning: int
    end: int


class Polled(NamedTuple):
    """What one partition gave: the offset it was read from, its records, and the offset to read from next.

    The last is beyond the last record where transaction markers, aborted records or compaction gaps follow.
    """

    topic: str
    partition: int
    start: int
    records: Sequence[Record]
    next_offset: int


class Move(NamedTuple):
    """A partition's position, as it was read and as the batch leaves it; `record_at` is its last record's time."""

    topic: str
    partition: int
    start: int
    next_offset: int
    record_at: datetime | None = None


class Fence(NamedTuple):
    """What a batch must find unchanged to be written: its partitions' positions, under this owner's token."""

    token: UUID
    moves: Sequence[Move]


def log_gap_remedy() -> str:
    """What an operator does about a gap in the log."""
    return (
        "`projector rebuild --from activity-logs` mends it: it brings back from the platform's table what the log "
        "lost, and lets the projector go on at the beginning of the log"
    )
