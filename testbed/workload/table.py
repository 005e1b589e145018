"""The platform's tables `workspaces` and `activity_logs` (events/README.md, section 2), and how it writes to them."""

import json
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import sql

COLUMNS = (
    *("id", "workspace_id", "activity_type", "source_id", "target_id", "method", "summary", "request_body"),
    *("response_body", "duration_ms", "status", "error_detail", "idempotency_key", "tool_trace", "created_at"),
)
JSON_COLUMNS = ("request_body", "response_body", "tool_trace")

# `written_snapshot` is no column of the contract: it lets a judge know what an INSERT could see.
TABLES = """
    CREATE TABLE workspaces (id uuid PRIMARY KEY);
    CREATE TABLE activity_logs (
        id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        workspace_id     uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
        activity_type    text NOT NULL,
        source_id        uuid,
        target_id        uuid,
        method           text,
        summary          text,
        request_body     jsonb,
        response_body    jsonb,
        duration_ms      int,
        status           text,
        error_detail     text,
        idempotency_key  text,
        tool_trace       jsonb,
        created_at       timestamptz NOT NULL DEFAULT now(),
        written_snapshot pg_snapshot DEFAULT pg_current_snapshot()
    );
    CREATE INDEX activity_logs_workspace_type_created
        ON activity_logs (workspace_id, activity_type, created_at DESC);
"""
INSERT_ALL = sql.SQL(
    """INSERT INTO activity_logs ({columns}, created_at)
       SELECT {values}, clock_timestamp() - (each ->> 'ago')::float8 * interval '1 s'
         FROM jsonb_array_elements(%s::jsonb) AS each, jsonb_populate_record(NULL::activity_logs, each) AS r
       ON CONFLICT (id) DO NOTHING"""
).format(
    columns=sql.SQL(", ").join(map(sql.Identifier, COLUMNS[:-1])),
    values=sql.SQL(", ").join(sql.Identifier("r", name) for name in COLUMNS[:-1]),
)
RECONNECT_SECONDS = 0.1


class ActivityTable:
    """A connection of the platform. Each call commits, and is repeated until Postgres has answered it.

    A call that is repeated after an unanswered commit changes nothing: the id of a new row is chosen before.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._conn: psycopg.Connection[Any] | None = None
        self._closed = threading.Event()
        self._gathered: list[dict[str, Any]] | None = None

    def create(self, *, replica_identity_full: bool = False) -> None:
        """Create the tables. With the full replica identity, a feed of bare rows has every column of an update."""
        self._execute(TABLES)
        if replica_identity_full:
            self._execute("ALTER TABLE activity_logs REPLICA IDENTITY FULL")

    def add_workspaces(self, ids: Iterable[str]) -> None:
        self._execute("INSERT INTO workspaces SELECT unnest(%s::uuid[]) ON CONFLICT DO NOTHING", [list(ids)])

    def delete_workspace(self, workspace_id: str) -> None:
        """Delete a workspace with all its activity rows."""
        self._execute("DELETE FROM workspaces WHERE id = %s", [workspace_id])

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Insert the rows of the block in one statement at its end, or before its next other change."""
        self._gathered = []
        yield
        self._insert_gathered()
        self._gathered = None

    def _insert_gathered(self) -> None:
        if self._gathered:
            rows, self._gathered = self._gathered, []
            self._run(INSERT_ALL, [json.dumps(rows)])

    def insert(self, *, seconds_ago: float = 0, **columns: Any) -> str:
        """Insert a row that is dated this long ago; returns its id."""
        row_id = str(columns.pop("id", None) or uuid.uuid4())
        if self._gathered is not None:
            self._gathered.append({"id": row_id, "ago": seconds_ago, **columns})
            return row_id
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        places = sql.SQL(", ").join(map(sql.Placeholder, columns))
        statement = sql.SQL(
            """INSERT INTO activity_logs (id, created_at, {})
               VALUES (%(id)s, clock_timestamp() - %(ago)s * interval '1 s', {})
               ON CONFLICT (id) DO NOTHING"""
        ).format(names, places)
        self._execute(statement, {"id": row_id, "ago": seconds_ago, **_encoded(columns)})
        return row_id

    def update(self, row_id: str, **columns: Any) -> None:
        """Update a row in place."""
        changes = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in columns]
        statement = sql.SQL("UPDATE activity_logs SET {} WHERE id = %(row_id)s").format(sql.SQL(", ").join(changes))
        self._execute(statement, {"row_id": row_id, **_encoded(columns)})

    def close(self) -> None:
        """End the connection; a call that waits for Postgres is abandoned."""
        self._closed.set()
        if self._conn is not None:
            self._conn.close()

    def now(self) -> datetime:
        """Return the time of the database, which all rows have."""
        [(now,)] = self._run("SELECT clock_timestamp()", None).fetchall()
        assert isinstance(now, datetime)
        return now

    def _execute(self, statement: Any, parameters: Any = None) -> psycopg.Cursor[Any]:
        self._insert_gathered()
        return self._run(statement, parameters)

    def _run(self, statement: Any, parameters: Any) -> psycopg.Cursor[Any]:
        while True:
            try:
                if self._conn is None or self._conn.closed:
                    self._conn = psycopg.connect(self._url, autocommit=True, application_name="platform")
                return self._conn.execute(statement, parameters)
            except psycopg.OperationalError:
                if self._conn is not None:
                    with suppress(psycopg.Error):
                        self._conn.close()
                if self._closed.wait(RECONNECT_SECONDS):
                    raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _encoded(columns: dict[str, Any]) -> dict[str, Any]:
    return {name: json.dumps(value) if isinstance(value, dict) else value for name, value in columns.items()}
