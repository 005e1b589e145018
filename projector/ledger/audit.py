"""Audit writes: one row in `activity_logs` and one in the view per call; a failure is returned and never raised.

    from projector.ledger import audit

    recorded = audit.record_request(conn, "d-1", caller_id, callee_id, "Summarise the report")
    if isinstance(recorded.activity, audit.Failed):
        ...  # recorded.activity.error

The activity row is written first. It is the source of truth: if the write to the view fails, the projector writes that
row when the event of the activity row arrives.

Each of the two rows has its own transaction, which is committed when the call returns. So `conn` must not be inside a
transaction nor in pipeline mode: if it is, nothing is written. Each error is logged and stands in the result in place
of its row.
"""

from datetime import datetime
from typing import TypeVar

import psycopg

from projector.ledger import activities, steps
from projector.ledger.activities import Failed, Recorded, Written
from projector.ledger.connections import require_usable
from projector.ledger.results import AlreadyExists, Effect, Inserted
from projector.ledger.rows import Connection, run
from projector.ledger.steps import Steps
from projector.ledger.validation import Id, StatusName

__all__ = ["Failed", "Recorded", "Written", "record_heartbeat", "record_request", "record_status"]
T = TypeVar("T")


def record_request(
    conn: Connection,
    delegation_id: Id,
    caller_id: Id,
    callee_id: Id,
    task: str,
    *,
    idempotency_key: Id | None = None,
    deadline: datetime | None = None,
) -> Recorded[Inserted | AlreadyExists]:
    """Record that a caller delegates a task: a `delegate` row, then `ledger.insert`.

    The arguments are those of `ledger.insert`; `conn` must not be inside a transaction. The activity row keeps the
    whole task. It is written for a repeated request too.

    Returns `Recorded`: `activity` is `Written` or `Failed`, `view` is the result of `ledger.insert` or `Failed`. Both
    rows are committed when the call returns. Raises nothing: bad arguments and database errors are logged and returned.
    """
    arguments = (delegation_id, caller_id, callee_id, task, idempotency_key, deadline)
    return _record(conn, delegation_id, activities.request(*arguments), steps.insert(*arguments))


def record_status(
    conn: Connection,
    delegation_id: Id,
    status: StatusName,
    *,
    caller_id: Id,
    result: str | None = None,
    error: str | None = None,
) -> Recorded[Effect]:
    """Record the status of a delegation: a `delegate_result` row, then `ledger.set_status`.

    The arguments are those of `ledger.set_status`, and the uuid of the delegation's caller, which the activity row
    needs. `conn` must not be inside a transaction. The activity row keeps the whole result or error.

    Returns `Recorded`: `activity` is `Written` or `Failed`, `view` is the `Effect` or `Failed`. Both rows are committed
    when the call returns. Raises nothing: bad arguments and database errors are logged and returned.
    """
    activity = activities.status(delegation_id, status, caller_id, result, error)
    return _record(conn, delegation_id, activity, steps.set_status(delegation_id, status, result, error))


def record_heartbeat(conn: Connection, delegation_id: Id, *, caller_id: Id) -> Recorded[Effect]:
    """Record that the callee is still working: a `heartbeat` row, then `ledger.heartbeat`.

    The arguments are those of `ledger.heartbeat`, and the uuid of the delegation's caller, which the activity row
    needs. `conn` must not be inside a transaction.

    Returns `Recorded`: `activity` is `Written` or `Failed`, `view` is the `Effect` or `Failed`. Both rows are committed
    when the call returns. Raises nothing: bad arguments and database errors are logged and returned.
    """
    activity = activities.heartbeat(delegation_id, caller_id)
    return _record(conn, delegation_id, activity, steps.heartbeat(delegation_id))


def _record(conn: Connection, delegation_id: Id, activity: Steps[Written], row: Steps[T]) -> Recorded[T]:
    return Recorded(_write(conn, delegation_id, "activity", activity), _write(conn, delegation_id, "view", row))


def _write(conn: Connection, delegation_id: Id, part: str, to_send: Steps[T]) -> T | Failed:
    """Write in a new transaction; log and return an error."""
    try:
        require_usable(conn, psycopg.Connection)
        activities.require_outside_transaction(conn)
        with conn.transaction():
            return run(conn, activities.limited(to_send))
    except Exception as error:
        return activities.failed(delegation_id, part, error)
