"""What happened to a delegation, as facts in the past tense."""

from datetime import datetime
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


class Beat(NamedTuple):
    """The callee is alive and still at it."""

    delegation_id: str
    at: datetime
