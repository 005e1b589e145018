"""Ended delegations with their ends and replies, the platform's tables beside them, and the inboxes afterwards."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from activity_table import SEARCH_PATH, create_activity_table
from psycopg import Connection
from psycopg.rows import dict_row
from rows import CALLEE, CALLER

from projector.push import relay
from projector.push.relay import Pass
from projector.settings import Settings

TOPIC = "activity-log"
OTHER_CALLER = "c1c1c1c1-0000-4000-8000-000000000009"


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def create_inbox(url: str) -> None:
    """Create `activity_logs` with the platform's index, and a foreign key to workspaces, of which two exist."""
    create_activity_table(url)
    with psycopg.connect(url) as conn:
        conn.execute(
            """
            CREATE TABLE workspaces (id uuid PRIMARY KEY);
            ALTER TABLE activity_logs ADD FOREIGN KEY (workspace_id) REFERENCES workspaces (id) ON DELETE CASCADE
            """
        )
        conn.execute("INSERT INTO workspaces VALUES (%s), (%s)", [CALLER, OTHER_CALLER])


class Relaying:
    """The tables of one database. `conn` is in autocommit; `activity` is where `activity_logs` is."""

    def __init__(self, conn: Connection, activity: Connection | None = None) -> None:
        self.conn = conn
        self.activity = activity or conn
        self._offset = 0

    def delegation(self, name: str, status: str, *, caller: str = CALLER, **columns: Any) -> None:
        """Insert a row of the view."""
        row = {"result_preview": None, "error_detail": None, "created_at": ago(3600), "deadline": ago(-3600)} | columns
        self.conn.execute(
            """
            INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, result_preview,
                                     error_detail, created_at, updated_at, deadline)
            VALUES (%s, %s, %s, 'a task', %s, %s, %s, %s, now(), %s)
            """,
            [name, caller, CALLEE, status, *row.values()],
        )

    def end(self, name: str, status: str, *, kind: str = "report", text: str | None = None, **more: Any) -> str:
        """Insert an end and its activity row, unless `is_gone`; returns the row's id."""
        row_id = str(uuid4())
        self._offset += 1
        self.conn.execute(
            """
            INSERT INTO ends (delegation_id, topic, partition, "offset", kind, status, row_id, has_text, at)
            VALUES (%s, %s, 0, %s, %s, %s, %s, %s, %s)
            """,
            [name, TOPIC, self._offset, kind, status, row_id, text is not None, more.get("at", ago(60))],
        )
        if not more.get("is_gone"):
            self._activity_row(row_id, name, status, text, more.get("caller", CALLER))
        return row_id

    def _activity_row(self, row_id: str, name: str, status: str, text: str | None, caller: str) -> None:
        self.activity.execute(
            """
            INSERT INTO activity_logs (id, workspace_id, activity_type, method, status, request_body, response_body,
                                       error_detail)
            VALUES (%s, %s, 'delegation', 'delegate_result', %s, %s, %s, %s)
            """,
            [
                row_id,
                caller,
                status,
                json.dumps({"delegation_id": name}),
                json.dumps({"text": text} if status == "completed" else {}),
                None if status == "completed" else text,
            ],
        )

    def queue(self, name: str, *, due: datetime | None = None, **columns: Any) -> None:
        """Insert a reply that is due since a second, or at this time."""
        due = due or ago(1)
        row = {"queued_at": ago(0), "next_attempt_at": due, "attempts": 0} | columns
        self.conn.execute(
            """
            INSERT INTO outbox (delegation_id, due_at, queued_at, next_attempt_at, attempts)
            VALUES (%s, %s, %s, %s, %s)
            """,
            [name, due, row["queued_at"], row["next_attempt_at"], row["attempts"]],
        )

    def answered(self, name: str, text: str = "done", *, caller: str = CALLER, **columns: Any) -> None:
        """Insert a delegation that completed with this text, its end and its reply, which is due."""
        self.delegation(name, "completed", caller=caller, result_preview=text[:4096])
        self.end(name, "completed", text=text, caller=caller)
        self.queue(name, **columns)

    def inbox(self) -> dict[str, dict[str, Any]]:
        """Delegation → the row in an inbox; fails if there are two about one delegation."""
        with self.activity.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute("SELECT * FROM activity_logs WHERE activity_type = 'a2a_receive'").fetchall()
        found = {row["request_body"]["delegation_id"]: row for row in rows}
        assert len(found) == len(rows), "a caller was told twice"
        return found

    def texts(self) -> dict[str, str]:
        """Delegation → the text in the inbox."""
        return {name: row["response_body"]["text"] for name, row in self.inbox().items()}

    def reply(self, name: str) -> dict[str, Any]:
        """The row of the outbox."""
        with self.conn.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute("SELECT * FROM outbox WHERE delegation_id = %s", [name]).fetchone()
        assert row is not None
        return row

    def states(self) -> dict[str, str | None]:
        """Delegation → how its reply ended; None if it did not."""
        return dict(self.conn.execute("SELECT delegation_id, ended_as FROM outbox").fetchall())


def push_settings(url: str, **own: Any) -> Settings:
    """Settings of a relay with the target `inbox`."""
    return Settings.model_validate({"database_url": url, "result_push": "inbox", "topic": TOPIC, **own})


def push(url: str, **own: Any) -> Pass:
    """Send what is due, once; the time that it took is left out."""
    return relay.once(push_settings(url, **own))._replace(seconds=0)


def passed(**counts: int) -> Pass:
    """The result of a pass with these counts, and 0 for all others."""
    return Pass(**(dict.fromkeys(Pass._fields, 0) | counts))


@pytest.fixture
def inbox_url(database_url: str) -> str:
    """The URL of a database with the view and the platform's tables."""
    create_inbox(database_url)
    return database_url


@pytest.fixture
def relaying(inbox_url: str) -> Iterator[Relaying]:
    """The tables of the database of `inbox_url`."""
    with psycopg.connect(inbox_url, options=SEARCH_PATH, autocommit=True) as conn:
        yield Relaying(conn)
