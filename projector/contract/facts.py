"""Facts about one delegation, as records report them, and the statuses that a delegation can have."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, TypeAlias, TypeGuard

make = tuple.__new__
"""Makes a named tuple of all its fields in order. The constructor takes twice as long, with keywords three times."""


class Status(StrEnum):
    """The status of a delegation. events/README.md, section 4, defines their order."""

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
"""The terminal statuses that carry an error instead of a result."""
DEFAULT_DEADLINE = timedelta(hours=6)
"""How long after its request a delegation is due, if the request has no deadline."""


class NoEvent(StrEnum):
    """Why a record is not an event of a delegation."""

    UNRELATED = "unrelated"
    UNCORRELATED = "uncorrelated"
    TOMBSTONE = "tombstone"


class Requested(NamedTuple):
    """A caller delegated a task to a callee. Their ids are lower-case uuid texts, times are in UTC."""

    delegation_id: str
    caller_id: str
    callee_id: str
    task_preview: str
    idempotency_key: str | None
    deadline: datetime
    created_at: datetime


class Reported(NamedTuple):
    """A delegation reached a status. Only `completed` has a result, only `failed` and `stuck` have an error."""

    delegation_id: str
    status: Status
    at: datetime
    result_preview: str | None = None
    error_detail: str | None = None


class Verdict(NamedTuple):
    """A sweeper judged that a delegation is stuck or failed. It is not an answer of the callee.

    `silent_since` is the evidence: the last sign of life that the sweeper knew. Only `failed` may have none.
    """

    delegation_id: str
    status: Status
    at: datetime
    silent_since: datetime | None
    error_detail: str | None


class Heartbeat(NamedTuple):
    """The callee is alive and works on the delegation."""

    delegation_id: str
    at: datetime


Report: TypeAlias = Reported | Verdict | Heartbeat
"""What a record reports about a delegation, apart from its request."""


def is_end(event: Report) -> TypeGuard[Reported | Verdict]:
    """Whether the event reports a terminal status."""
    return not isinstance(event, Heartbeat) and event.status in TERMINAL


class Translation(NamedTuple):
    """The facts that one record reports about one delegation.

    `unavailable_row_id` is the id of the activity row if the change feed left out a body that a rule uses. A delegation
    must have been stored for this row id; it is the one meant if `delegation_id` is empty.
    `row_id` is the id of the activity row of an end, as it came: only the push of results reads it.
    `large_row_id` is the id of the activity row if later updates may leave out its bodies. The delegation must be
    stored for this row id.
    """

    delegation_id: str
    request: Requested | None
    report: Report
    unavailable_row_id: str | None = None
    row_id: object = None
    large_row_id: str | None = None

    def about(self, delegation_id: str) -> "Translation":
        """The same facts about this delegation."""
        return self._replace(
            delegation_id=delegation_id,
            request=self.request and self.request._replace(delegation_id=delegation_id),
            report=self.report._replace(delegation_id=delegation_id),
        )
