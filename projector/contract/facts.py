"""What happened to a delegation, as facts in the past tense."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple


class Status(StrEnum):
    """Where a delegation stands; the order is that of CONTRACT §4."""

    QUEUED = "queued"
    DISPATCHED = "dispatched"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    STUCK = "stuck"


RANK = {Status.QUEUED: 0, Status.DISPATCHED: 1, Status.IN_PROGRESS: 2}
IN_FLIGHT = frozenset(RANK)
TERMINAL = frozenset(Status) - IN_FLIGHT
FAILED = TERMINAL - {Status.COMPLETED}
"""The terminal states that carry an error instead of a result."""
DEFAULT_DEADLINE = timedelta(hours=6)
"""How long after its request a delegation is due, if the request has no deadline."""


class NoEvent(StrEnum):
    """Why a record is no event of a delegation."""

    UNRELATED = "unrelated"
    UNCORRELATED = "uncorrelated"
    TOMBSTONE = "tombstone"


class Requested(NamedTuple):
    """A caller handed a task to a callee; ids are lower-case uuid texts, times are in UTC."""

    delegation_id: str
    caller_id: str
    callee_id: str
    task_preview: str
    idempotency_key: str | None
    deadline: datetime
    created_at: datetime


class Reported(NamedTuple):
    """Somebody said where the delegation stands; result only with completed, error only with failed and stuck."""

    delegation_id: str
    status: Status
    at: datetime
    result_preview: str | None = None
    error_detail: str | None = None


class Heartbeat(NamedTuple):
    """The callee is alive and still at it."""

    delegation_id: str
    at: datetime
