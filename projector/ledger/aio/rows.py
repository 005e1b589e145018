"""The asynchronous writes of the ledger. `projector.ledger.aio` exports them."""

from datetime import datetime
from typing import Any, TypeAlias, TypeVar

import psycopg
from psycopg.rows import tuple_row

from projector.ledger import steps
from projector.ledger.connections import require_usable
from projector.ledger.results import AlreadyExists, Effect, Inserted
from projector.ledger.steps import Row, Steps
from projector.ledger.validation import Id, StatusName

Connection: TypeAlias = psycopg.AsyncConnection[Any]
T = TypeVar("T")


async def insert(
    conn: Connection,
    delegation_id: Id,
    caller_id: Id,
    callee_id: Id,
    task: str,
    *,
    idempotency_key: Id | None = None,
    deadline: datetime | None = None,
) -> Inserted | AlreadyExists:
    """As `projector.ledger.rows.insert`, with an asynchronous connection."""
    return await run(conn, steps.insert(delegation_id, caller_id, callee_id, task, idempotency_key, deadline))


async def set_status(
    conn: Connection, delegation_id: Id, status: StatusName, *, result: str | None = None, error: str | None = None
) -> Effect:
    """As `projector.ledger.rows.set_status`, with an asynchronous connection."""
    return await run(conn, steps.set_status(delegation_id, status, result, error))


async def heartbeat(conn: Connection, delegation_id: Id) -> Effect:
    """As `projector.ledger.rows.heartbeat`, with an asynchronous connection."""
    return await run(conn, steps.heartbeat(delegation_id))


async def run(conn: Connection, to_send: Steps[T]) -> T:
    """As `projector.ledger.rows.run`, with an asynchronous connection."""
    require_usable(conn, psycopg.AsyncConnection)
    row: Row = None
    while True:
        try:
            statement = to_send.send(row)
        except StopIteration as end:
            result: T = end.value
            return result
        async with psycopg.AsyncCursor(conn, row_factory=tuple_row) as cursor:
            await cursor.execute(*statement)
            row = await cursor.fetchone()
