"""The writes of the ledger: one row of `delegations` per call. `projector.ledger` exports the public functions."""

from datetime import datetime
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg.rows import tuple_row

from projector.ledger import steps
from projector.ledger.connections import require_usable
from projector.ledger.results import AlreadyExists, Effect, Inserted
from projector.ledger.steps import Row, Steps
from projector.ledger.validation import Id, StatusName

Connection: TypeAlias = psycopg.Connection[Any]
T = TypeVar("T")


def insert(
    conn: Connection,
    delegation_id: Id,
    caller_id: Id,
    callee_id: Id,
    task: str,
    *,
    idempotency_key: Id | None = None,
    deadline: datetime | None = None,
) -> Inserted | AlreadyExists:
    """Insert the row of a new delegation, with the status `queued`.

    - `conn`: the service's connection. The insert is part of its transaction and is not committed here.
    - `delegation_id`: unique; at most 512 bytes of UTF-8.
    - `caller_id`, `callee_id`: uuids, as texts or as `uuid.UUID`.
    - `task`: not empty. The row keeps its first 4,096 bytes of UTF-8.
    - `idempotency_key`: unique per caller; at most 512 bytes of UTF-8. None and the empty text mean no key.
    - `deadline`: a datetime with an offset. None means 6 hours after the start of the transaction.

    Returns `Inserted`, or `AlreadyExists` if a row has this id, or this caller and idempotency key. If another
    transaction has inserted such a row and not committed it yet, the call waits for the end of that transaction.

    Raises ValueError for a bad argument; WriteConflict if the existing row was deleted again in each of 10 tries (try
    again); Misconfigured as `set_status`; and psycopg's own errors.
    """
    return run(conn, steps.insert(delegation_id, caller_id, callee_id, task, idempotency_key, deadline))


def set_status(
    conn: Connection, delegation_id: Id, status: StatusName, *, result: str | None = None, error: str | None = None
) -> Effect:
    """Advance the status of a delegation, or add the text that its final status lacks.

    - `conn`: the service's connection. The update is part of its transaction and is not committed here.
    - `delegation_id`: at most 512 bytes of UTF-8.
    - `status`: queued, dispatched, in_progress, completed, failed or stuck.
    - `result`: used with completed only. The row keeps its first 4,096 bytes of UTF-8.
    - `error`: used with failed and stuck only. The row keeps its first 4,096 bytes of UTF-8.

    Returns the `Effect`: advanced, filled, duplicate, stale, refused or missing. The row is locked first: if another
    transaction has locked it, the call waits for the end of that transaction, and compares with the row as it is then.

    Raises ValueError for a bad argument, and psycopg's own errors. Raises Misconfigured if row-level security may hide
    the row from the role of `conn`, or if the client encoding of `conn` is not UTF-8.
    """
    return run(conn, steps.set_status(delegation_id, status, result, error))


def heartbeat(conn: Connection, delegation_id: Id) -> Effect:
    """Record that the callee is still working: `last_heartbeat` becomes now, by the clock of the database.

    - `conn`: the service's connection. The update is part of its transaction and is not committed here.
    - `delegation_id`: at most 512 bytes of UTF-8.

    Returns the `Effect`: heartbeat, refused if the delegation has ended, or missing. The call waits for other
    transactions that have locked the row. `last_heartbeat` and `updated_at` never go back.

    Raises ValueError for a bad argument, Misconfigured as `set_status`, and psycopg's own errors.
    """
    return run(conn, steps.heartbeat(delegation_id))


def run(conn: Connection, to_send: Steps[T]) -> T:
    """Send the statements one after another; the row factory and the cursor factory of `conn` do not matter."""
    require_usable(conn, psycopg.Connection)
    row: Row = None
    while True:
        try:
            statement = to_send.send(row)
        except StopIteration as end:
            result: T = end.value
            return result
        with psycopg.Cursor(conn, row_factory=tuple_row) as cursor:
            row = cursor.execute(*statement).fetchone()
