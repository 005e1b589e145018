"""Asynchronous audit writes: the functions of `projector.ledger.audit`, for a `psycopg.AsyncConnection`.

The cancellation of a call passes unchanged; the row that was being written is rolled back.
"""

from datetime import datetime
from typing import TypeVar

import psycopg

from projector.ledger import activities, steps
from projector.ledger.activities import Failed, Recorded, Written
from projector.ledger.aio.rows import Connection, run
from projector.ledger.connections import require_usable
from projector.ledger.results import AlreadyExists, Effect, Inserted
from projector.ledger.steps import Steps
from projector.ledger.validation import Id, StatusName

__all__ = ["Failed", "Recorded", "Written", "record_heartbeat", "record_request", "record_status"]
T = TypeVar("T")


async def record_request(
    conn: Connection,
    delegation_id: Id,
    caller_id: Id,
    callee_id: Id,
    task: str,
    *,
    idempotency_key: Id | None = None,
    deadline: datetime | None = None,
) -> Recorded[Inserted | AlreadyExists]:
    """As `projector.ledger.audit.record_request`, with an asynchronous connection."""
    arguments = (delegation_id, caller_id, callee_id, task, idempotency_key, deadline)
    return await _record(conn, delegation_id, activities.request(*arguments), steps.insert(*arguments))


async def record_status(
    conn: Connection,
    delegation_id: Id,
    status: StatusName,
    *,
    caller_id: Id,
    result: str | None = None,
    error: str | None = None,
) -> Recorded[Effect]:
    """As `projector.ledger.audit.record_status`, with an asynchronous connection."""
    activity = activities.status(delegation_id, status, caller_id, result, error)
    return await _record(conn, delegation_id, activity, steps.set_status(delegation_id, status, result, error))


async def record_heartbeat(conn: Connection, delegation_id: Id, *, caller_id: Id) -> Recorded[Effect]:
    """As `projector.ledger.audit.record_heartbeat`, with an asynchronous connection."""
    activity = activities.heartbeat(delegation_id, caller_id)
    return await _record(conn, delegation_id, activity, steps.heartbeat(delegation_id))


async def _record(conn: Connection, delegation_id: Id, activity: Steps[Written], row: Steps[T]) -> Recorded[T]:
    written = await _write(conn, delegation_id, "activity", activity)
    return Recorded(written, await _write(conn, delegation_id, "view", row))


async def _write(conn: Connection, delegation_id: Id, part: str, to_send: Steps[T]) -> T | Failed:
    """Write in a new transaction; log and return an error."""
    try:
        require_usable(conn, psycopg.AsyncConnection)
        activities.require_outside_transaction(conn)
        async with conn.transaction():
            return await run(conn, activities.limited(to_send))
    except Exception as error:
        return activities.failed(delegation_id, part, error)
