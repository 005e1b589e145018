"""A row of `delegations`, and how one event changes it (events/README.md, section 4)."""

from dataclasses import dataclass
from datetime import datetime

from testbed.oracle.reading import Event, Request

IN_FLIGHT = ["queued", "dispatched", "in_progress"]
PREVIEW_LIMIT_BYTES = 4096


@dataclass
class Row:
    """A row of `delegations`, column by column."""

    delegation_id: str
    caller_id: str
    callee_id: str
    task_preview: str
    status: str
    last_heartbeat: datetime | None
    deadline: datetime
    result_preview: str | None
    error_detail: str | None
    retry_count: int
    created_at: datetime
    updated_at: datetime
    idempotency_key: str | None


def new_row(delegation_id: str, request: Request) -> Row:
    """Return the row of a request, before the status of its record."""
    return Row(
        delegation_id=delegation_id,
        caller_id=request.caller_id,
        callee_id=request.callee_id,
        task_preview=preview(request.task) or "",
        status="queued",
        last_heartbeat=None,
        deadline=request.deadline,
        result_preview=None,
        error_detail=None,
        retry_count=0,
        created_at=request.created_at,
        updated_at=request.created_at,
        idempotency_key=request.idempotency_key,
    )


def apply_event(row: Row, event: Event) -> str:
    """Apply an event to an existing row in place; returns the outcome. Of a request, only its status counts."""
    return _apply_heartbeat(row, event.at) if event.status is None else _apply_status(row, event, event.status)


def _apply_heartbeat(row: Row, at: datetime) -> str:
    if row.status not in IN_FLIGHT:
        return "refused"
    row.last_heartbeat = at if row.last_heartbeat is None else max(row.last_heartbeat, at)
    row.updated_at = max(row.updated_at, at)
    return "heartbeat"


def _apply_status(row: Row, event: Event, status: str) -> str:
    if row.status == status:
        return _fill_preview(row, event)
    if row.status not in IN_FLIGHT:
        return "refused"
    if event.silent_since is not None and row.updated_at > event.silent_since:
        return "stale"  # a sign of life after the one that was judged
    if status in IN_FLIGHT and IN_FLIGHT.index(status) < IN_FLIGHT.index(row.status):
        return "stale"
    row.status = status
    row.result_preview = preview(event.text)
    row.error_detail = preview(event.error)
    row.updated_at = max(row.updated_at, event.at)
    return "advanced"


def _fill_preview(row: Row, event: Event) -> str:
    """Fill an empty preview once, for the status that the row already has; returns the outcome."""
    if event.text and row.result_preview is None:
        row.result_preview = preview(event.text)
    elif event.error and row.error_detail is None:
        row.error_detail = preview(event.error)
    else:
        return "duplicate"
    row.updated_at = max(row.updated_at, event.at)
    return "filled"


def preview(text: str | None) -> str | None:
    """Cut a text to 4 KiB, between characters."""
    return None if text is None else text.encode()[:PREVIEW_LIMIT_BYTES].decode(errors="ignore")
