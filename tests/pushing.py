"""Helpers for tests of the push of results: connections that push, and what a batch stored for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from builders import at, log
from projecting import TOPIC, query
from rows import Columns, delegate

from projector.postgres import connection
from projector.postgres.connection import Connection
from projector.postgres.write_batch import prepare
from projector.projection.transaction import Outcomes, project
from projector.settings import PostgresSettings


@contextmanager
def pushing(url: str, *, since: datetime = at(0)) -> Iterator[Connection]:  # noqa: B008 - immutable
    """A connection whose batches can push. The push is switched on at this time, in an empty topic."""
    with connection.connect(PostgresSettings(database_url=url), synchronous_commit=False) as conn:
        prepare(conn, push=True)
        conn.execute("INSERT INTO push VALUES (%s, %s) ON CONFLICT DO NOTHING", [TOPIC, since])
        yield conn


def ends(conn: Connection) -> list[Any]:
    return query(
        conn,
        """
        SELECT delegation_id, topic, partition, "offset", kind, status, row_id::text, has_text, at
          FROM projector.ends ORDER BY partition, "offset", delegation_id
        """,
    )


def due(conn: Connection) -> dict[str, datetime]:
    """Delegation id → when its reply is due, for all that were queued."""
    rows = query(conn, "SELECT delegation_id, due_at, next_attempt_at FROM projector.outbox")
    assert all(due_at == next_attempt_at for _, due_at, next_attempt_at in rows)
    return {delegation_id: due_at for delegation_id, due_at, _ in rows}


def named(delegation_id: str, minute: int = 0, **columns: Any) -> Columns:
    """The row of a request of this delegation."""
    return delegate(minute, request_body={"delegation_id": delegation_id, "task": "count"}, **columns)


def push(conn: Connection, *values: object) -> Outcomes:
    """Project these values as one batch that pushes."""
    return project(conn, log(*values), push=True)
