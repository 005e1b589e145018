"""The lifecycle of a delegation: `evolve` applies one event to its row (events/README.md, section 4)."""

from datetime import datetime
from typing import NamedTuple, TypeAlias, assert_never

from projector.contract.facts import (
    FAILED,
    IN_FLIGHT,
    RANK,
    Heartbeat,
    Report,
    Reported,
    Requested,
    Status,
    Verdict,
    make,
)
from projector.domain.outcomes import Outcome


class Delegation(NamedTuple):
    """A row of `delegations`, in the table's order of columns."""

    delegation_id: str
    caller_id: str
    callee_id: str
    task_preview: str
    status: Status
    last_heartbeat: datetime | None
    deadline: datetime
    result_preview: str | None
    error_detail: str | None
    retry_count: int
    created_at: datetime
    updated_at: datetime
    idempotency_key: str | None


def changed_columns(one: "Delegation", other: "Delegation") -> tuple[str, ...]:
    """The columns in which two rows differ, in the table's order."""
    return tuple(name for name, a, b in zip(Delegation._fields, one, other, strict=True) if a != b)


class State(NamedTuple):
    """The columns of a row that events change, and its id. The others stay as the request made them."""

    delegation_id: str
    status: Status
    last_heartbeat: datetime | None
    result_preview: str | None
    error_detail: str | None
    updated_at: datetime


Row: TypeAlias = Delegation | State
"""A row that was inserted here, or the part of a stored row that a later event needs."""


class Step(NamedTuple):
    """What an event did: the row afterwards (the same object if nothing changed), and the outcome."""

    after: Row | None
    outcome: Outcome


def evolve(before: Row | None, event: Requested | Report) -> Step:
    """Apply one event to a row, or to none. The caller checks first whether the idempotency key is free."""
    if isinstance(event, Requested):
        return Step(requested(event), Outcome.INSERTED) if before is None else Step(before, Outcome.DUPLICATE)
    if before is None:
        return Step(None, Outcome.PARKED)
    if isinstance(event, Reported):
        return _report(before, event)
    if isinstance(event, Heartbeat):
        return _heartbeat(before, event)
    if isinstance(event, Verdict):
        return _verdict(before, event)
    assert_never(event)


def requested(event: Requested) -> Delegation:
    """The row that a request inserts."""
    delegation_id, caller_id, callee_id, task_preview, idempotency_key, deadline, created_at = event
    begin = delegation_id, caller_id, callee_id, task_preview, Status.QUEUED, None, deadline
    return make(Delegation, (*begin, None, None, 0, created_at, created_at, idempotency_key))


def _report(before: Row, event: Reported) -> Step:
    if event.status is before.status:
        return _fill(before, event)
    if before.status not in IN_FLIGHT:
        return Step(before, Outcome.REFUSED)
    if event.status in IN_FLIGHT and RANK[event.status] < RANK[before.status]:
        return Step(before, Outcome.STALE)
    after = _changed(
        before,
        event.status,
        before.last_heartbeat,
        event.result_preview if event.status is Status.COMPLETED else before.result_preview,
        event.error_detail if event.status in FAILED else before.error_detail,
        max(before.updated_at, event.at),
    )
    return Step(after, Outcome.ADVANCED)


def _changed(
    before: Row,
    status: Status,
    last_heartbeat: datetime | None,
    result_preview: str | None,
    error_detail: str | None,
    updated_at: datetime,
) -> Row:
    """The row with these columns in place of its own."""
    if isinstance(before, State):
        return make(State, (before.delegation_id, status, last_heartbeat, result_preview, error_detail, updated_at))
    delegation_id, caller, callee, task, _, _, deadline, _, _, retries, created_at, _, key = before
    begin = delegation_id, caller, callee, task, status, last_heartbeat, deadline
    return make(Delegation, (*begin, result_preview, error_detail, retries, created_at, updated_at, key))


def _fill(before: Row, event: Reported) -> Step:
    updated_at = max(before.updated_at, event.at)
    if event.status is Status.COMPLETED and event.result_preview and not before.result_preview:
        return Step(before._replace(result_preview=event.result_preview, updated_at=updated_at), Outcome.FILLED)
    if event.status in FAILED and event.error_detail and not before.error_detail:
        return Step(before._replace(error_detail=event.error_detail, updated_at=updated_at), Outcome.FILLED)
    return Step(before, Outcome.DUPLICATE)


def _verdict(before: Row, event: Verdict) -> Step:
    """A verdict whose evidence is older than the last sign of life changes no row in flight."""
    if before.status in IN_FLIGHT and event.silent_since is not None and before.updated_at > event.silent_since:
        return Step(before, Outcome.STALE)
    return _report(before, Reported(event.delegation_id, event.status, event.at, error_detail=event.error_detail))


def _heartbeat(before: Row, event: Heartbeat) -> Step:
    if before.status not in IN_FLIGHT:
        return Step(before, Outcome.REFUSED)
    last = max(before.last_heartbeat or event.at, event.at)
    if last == before.last_heartbeat and event.at <= before.updated_at:
        return Step(before, Outcome.HEARTBEAT)
    updated_at = max(before.updated_at, event.at)
    after = _changed(before, before.status, last, before.result_preview, before.error_detail, updated_at)
    return Step(after, Outcome.HEARTBEAT)
