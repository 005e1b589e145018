"""A simulated platform that writes to its table and computes the expected rows of the view.

It computes them from the rows that it writes and from the times that Postgres returns, never from the change feed.
"""

import uuid
from datetime import datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg.types.json import Jsonb

from testbed.oracle import Row
from testbed.oracle.rows import preview

TABLE = Path(__file__).parent.parent / "deploy" / "activity_logs.sql"
CALLEE = "ca11ee00-0000-4000-8000-000000000000"
CALLERS = [f"ca11e400-0000-4000-8000-00000000000{number}" for number in range(5)]


class WrittenRow(NamedTuple):
    """The id of a row of `activity_logs`, and the time that Postgres gave it."""

    id: str
    created_at: datetime


class Platform:
    """`expected` has the expected row of the view per delegation id.

    Until `streamed` is set, the feed reads rows by a snapshot: only their last state, with the time of their creation.
    `conn` is in autocommit, so that each call is one change.
    """

    def __init__(self, conn: psycopg.Connection) -> None:
        self.expected: dict[str, Row] = {}
        self.streamed = False
        self._conn = conn
        self._requests: dict[str, WrittenRow] = {}
        self._callers = cycle(CALLERS)

    def request(
        self, delegation: str, *, task: str = "count", key: str | None = None, caller: str | None = None
    ) -> None:
        """Insert a `delegate` row."""
        caller = caller or next(self._callers)
        body = {"delegation_id": delegation, "task": task}
        row = self._insert(caller, method="delegate", status="pending", request_body=body, idempotency_key=key)
        self._requests[delegation] = row
        at = row.created_at
        columns = (delegation, caller, CALLEE, preview(task) or "")
        self.expected[delegation] = Row(*columns, "queued", None, at + timedelta(hours=6), None, None, 0, at, at, key)

    def repeat_request(self, delegation: str, *, instead_of: str) -> None:
        """Insert a retry of the same request under another id; the view must ignore it and its later changes."""
        first = self.expected[instead_of]
        self.request(delegation, key=first.idempotency_key, caller=first.caller_id)
        self.update_request(delegation, "dispatched")
        del self.expected[delegation]

    def update_request(
        self, delegation: str, status: str, *, text: str | None = None, error: str | None = None
    ) -> None:
        """Update the `delegate` row in place, with a result text or an error."""
        body = None if text is None else {"delegation_id": delegation, "text": text}
        at = self._update(self._requests[delegation], status=status, response_body=body, error_detail=error)
        self._expect(delegation, status, at, text=text, error=error)

    def write_result_text(self, delegation: str, text: str) -> None:
        """Write a result text into the `delegate` row without a new status; the view must not change."""
        self._update(self._requests[delegation], response_body={"delegation_id": delegation, "text": text})

    def complete_request(self, delegation: str, text: str | None) -> None:
        """Set the status `completed` only; `text` is the result text in the feed's record of this update."""
        at = self._update(self._requests[delegation], status="completed")
        self._expect(delegation, "completed", at, text=text)

    def write_result(self, delegation: str, text: str) -> WrittenRow:
        """Insert a `delegate_result` row."""
        body = {"delegation_id": delegation, "text": text}
        row = self._insert(self._caller(delegation), method="delegate_result", status="completed", response_body=body)
        self._expect(delegation, "completed", row.created_at, text=text)
        return row

    def write_result_before_request(self, delegation: str, text: str) -> None:
        """Insert a `delegate_result` row, then its `delegate` row."""
        caller = next(self._callers)
        body = {"delegation_id": delegation, "text": text}
        row = self._insert(caller, method="delegate_result", status="completed", response_body=body)
        self.request(delegation, caller=caller)
        self._expect(delegation, "completed", row.created_at, text=text)

    def write_late_failure(self, delegation: str) -> None:
        """Insert a failure of an ended delegation; the view must not change."""
        body = {"delegation_id": delegation}
        columns = {"status": "failed", "error_detail": "too late", "response_body": body}
        self._insert(self._caller(delegation), method="delegate_result", **columns)

    def write_heartbeat(self, delegation: str, progress: str = "half") -> WrittenRow:
        """Insert a `heartbeat` row."""
        body = {"delegation_id": delegation, "progress": progress}
        row = self._insert(self._caller(delegation), method="heartbeat", request_body=body)
        self._expect_heartbeat(delegation, row.created_at)
        return row

    def update_heartbeat(self, delegation: str, heartbeat: WrittenRow) -> None:
        """Update a `heartbeat` row in place, which counts as a heartbeat at the time of the update."""
        self._expect_heartbeat(delegation, self._update(heartbeat, duration_ms=1))

    def touch(self, row: WrittenRow) -> None:
        """Update a row without a new status or text."""
        self._update(row, duration_ms=1)

    def touch_request(self, delegation: str) -> None:
        self.touch(self._requests[delegation])

    def write_markers(self) -> list[str]:
        """Insert an unrelated row per caller; returns their ids. A topic that has them has all earlier changes."""
        rows = [self._insert(caller, activity_type="agent_log", summary="thinking") for caller in CALLERS]
        return [row.id for row in rows]

    def delete_all_rows(self) -> list[str]:
        """Delete all rows, as retention does; returns their ids."""
        return [str(id_) for (id_,) in self._conn.execute("DELETE FROM activity_logs RETURNING id").fetchall()]

    def _caller(self, delegation: str) -> str:
        return self.expected[delegation].caller_id

    def _expect(
        self, delegation: str, status: str, at: datetime, *, text: str | None, error: str | None = None
    ) -> None:
        row = self.expected[delegation]
        row.status = status
        row.result_preview = preview(text) or None
        row.error_detail = preview(error) or None
        row.updated_at = max(row.updated_at, at)

    def _expect_heartbeat(self, delegation: str, at: datetime) -> None:
        row = self.expected[delegation]
        row.last_heartbeat = at if row.last_heartbeat is None else max(row.last_heartbeat, at)
        row.updated_at = max(row.updated_at, at)

    def _insert(self, caller: str, **columns: Any) -> WrittenRow:
        unset = ("method", "summary", "request_body", "response_body", "status", "error_detail", "idempotency_key")
        values: dict[str, Any] = {"activity_type": "delegation", **dict.fromkeys(unset), **columns}
        values |= {"id": str(uuid.uuid4()), "caller": caller, "callee": CALLEE}
        inserted = self._conn.execute(
            """
            INSERT INTO activity_logs (id, workspace_id, activity_type, source_id, target_id, method, summary,
                                       request_body, response_body, status, error_detail, idempotency_key)
            VALUES (%(id)s, %(caller)s, %(activity_type)s, %(caller)s, %(callee)s, %(method)s, %(summary)s,
                    %(request_body)s, %(response_body)s, %(status)s, %(error_detail)s, %(idempotency_key)s)
            RETURNING created_at
            """,
            _as_jsonb(values),
        )
        return WrittenRow(values["id"], _only_time(inserted))

    def _update(self, row: WrittenRow, **columns: Any) -> datetime:
        """Set these columns and no others; returns the event time of the update in the feed."""
        unset = ("status", "response_body", "error_detail", "duration_ms")
        self._conn.execute(
            """
            UPDATE activity_logs
               SET status = coalesce(%(status)s, status), response_body = coalesce(%(response_body)s, response_body),
                   error_detail = coalesce(%(error_detail)s, error_detail),
                   duration_ms = coalesce(%(duration_ms)s, duration_ms)
             WHERE id = %(id)s
            """,
            _as_jsonb({**dict.fromkeys(unset), **columns, "id": row.id}),
        )
        if not self.streamed:
            return row.created_at
        committed = self._conn.execute(  # in milliseconds, as in the feed
            "SELECT date_trunc('milliseconds', pg_xact_commit_timestamp(xmin)) FROM activity_logs WHERE id = %s",
            [row.id],
        )
        return _only_time(committed)


def _as_jsonb(values: dict[str, Any]) -> dict[str, Any]:
    return {name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()}


def _only_time(cursor: psycopg.Cursor[Any]) -> datetime:
    ((time,),) = cursor.fetchall()
    assert isinstance(time, datetime)
    return time
