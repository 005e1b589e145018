"""A platform that writes to its table as agents make it do, and notes what the view must hold of that.

The note is made as the platform writes, from what it wrote and what Postgres answered; nothing in it comes from the
change feed.
"""

import uuid
from datetime import datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg.types.json import Jsonb

from testbed.oracle import Row
from testbed.oracle.fold import preview

TABLE = Path(__file__).parent.parent / "deploy" / "activity_logs.sql"
CALLEE = "ca11ee00-0000-4000-8000-000000000000"
CALLERS = [f"ca11e400-0000-4000-8000-00000000000{number}" for number in range(5)]


class Told(NamedTuple):
    """A row of `activity_logs` as Postgres took it."""

    id: str
    created_at: datetime


class Platform:
    """`expected` is what the view must hold, by delegation.

    Until `streamed` is set, the feed sees of a row that was updated in place only how it stands in the end, and the
    time of that is when the row was created. `conn` is in autocommit, so that each call here is one change.
    """

    def __init__(self, conn: psycopg.Connection) -> None:
        self.expected: dict[str, Row] = {}
        self.streamed = False
        self._conn = conn
        self._requests: dict[str, Told] = {}
        self._callers = cycle(CALLERS)

    def asks(self, delegation: str, *, task: str = "count", key: str | None = None, caller: str | None = None) -> None:
        caller = caller or next(self._callers)
        body = {"delegation_id": delegation, "task": task}
        told = self._writes(caller, method="delegate", status="pending", request_body=body, idempotency_key=key)
        self._requests[delegation] = told
        at = told.created_at
        shown = (delegation, caller, CALLEE, preview(task) or "")
        self.expected[delegation] = Row(*shown, "queued", None, at + timedelta(hours=6), None, None, 0, at, at, key)

    def asks_again(self, delegation: str, *, instead_of: str) -> None:
        """The impatient caller's same request under another id: no delegation, whatever becomes of its row."""
        first = self.expected[instead_of]
        self.asks(delegation, key=first.idempotency_key, caller=first.caller_id)
        self.becomes(delegation, "dispatched")
        del self.expected[delegation]

    def becomes(self, delegation: str, status: str, *, text: str | None = None, error: str | None = None) -> None:
        """The request's row, updated in place; an answer or an error is written with that."""
        body = None if text is None else {"delegation_id": delegation, "text": text}
        at = self._updates(self._requests[delegation], status=status, response_body=body, error_detail=error)
        self._note(delegation, status, at, text=text, error=error)

    def drafts(self, delegation: str, text: str) -> None:
        """The answer is written to the request's row, the status is not: the delegation stands where it stood."""
        self._updates(self._requests[delegation], response_body={"delegation_id": delegation, "text": text})

    def sends_draft(self, delegation: str, text: str | None) -> None:
        """Now the status alone; `text` is what the feed tells of the draft."""
        at = self._updates(self._requests[delegation], status="completed")
        self._note(delegation, "completed", at, text=text)

    def answers(self, delegation: str, text: str) -> Told:
        """A row of its own for the answer."""
        body = {"delegation_id": delegation, "text": text}
        told = self._writes(self._caller(delegation), method="delegate_result", status="completed", response_body=body)
        self._note(delegation, "completed", told.created_at, text=text)
        return told

    def answers_before_it_is_asked(self, delegation: str, text: str) -> None:
        caller = next(self._callers)
        body = {"delegation_id": delegation, "text": text}
        told = self._writes(caller, method="delegate_result", status="completed", response_body=body)
        self.asks(delegation, caller=caller)
        self._note(delegation, "completed", told.created_at, text=text)

    def fails_too_late(self, delegation: str) -> None:
        """What ended stays as it is."""
        body = {"delegation_id": delegation}
        columns = {"status": "failed", "error_detail": "too late", "response_body": body}
        self._writes(self._caller(delegation), method="delegate_result", **columns)

    def beats(self, delegation: str, progress: str = "half") -> Told:
        body = {"delegation_id": delegation, "progress": progress}
        told = self._writes(self._caller(delegation), method="heartbeat", request_body=body)
        self._note_beat(delegation, told.created_at)
        return told

    def beats_in_place(self, delegation: str, beat: Told) -> None:
        """The row of a beat is written anew: a beat at that time."""
        self._note_beat(delegation, self._updates(beat, duration_ms=1))

    def touches(self, row: Told) -> None:
        """An update that says nothing new."""
        self._updates(row, duration_ms=1)

    def touches_request(self, delegation: str) -> None:
        self.touches(self._requests[delegation])

    def marks(self) -> list[str]:
        """A row for each caller that no delegation is about: behind it in the topic, nothing older can come."""
        rows = [self._writes(caller, activity_type="agent_log", summary="thinking") for caller in CALLERS]
        return [row.id for row in rows]

    def forgets_everything(self) -> list[str]:
        """Retention: all rows so far, at once; their ids."""
        return [str(id_) for (id_,) in self._conn.execute("DELETE FROM activity_logs RETURNING id").fetchall()]

    def _caller(self, delegation: str) -> str:
        return self.expected[delegation].caller_id

    def _note(self, delegation: str, status: str, at: datetime, *, text: str | None, error: str | None = None) -> None:
        row = self.expected[delegation]
        row.status = status
        row.result_preview = preview(text) or None
        row.error_detail = preview(error) or None
        row.updated_at = max(row.updated_at, at)

    def _note_beat(self, delegation: str, at: datetime) -> None:
        row = self.expected[delegation]
        row.last_heartbeat = at if row.last_heartbeat is None else max(row.last_heartbeat, at)
        row.updated_at = max(row.updated_at, at)

    def _writes(self, caller: str, **columns: Any) -> Told:
        unset = ("method", "summary", "request_body", "response_body", "status", "error_detail", "idempotency_key")
        told: dict[str, Any] = {"activity_type": "delegation", **dict.fromkeys(unset), **columns}
        told |= {"id": str(uuid.uuid4()), "caller": caller, "callee": CALLEE}
        written = self._conn.execute(
            """
            INSERT INTO activity_logs (id, workspace_id, activity_type, source_id, target_id, method, summary,
                                       request_body, response_body, status, error_detail, idempotency_key)
            VALUES (%(id)s, %(caller)s, %(activity_type)s, %(caller)s, %(callee)s, %(method)s, %(summary)s,
                    %(request_body)s, %(response_body)s, %(status)s, %(error_detail)s, %(idempotency_key)s)
            RETURNING created_at
            """,
            _with_bodies(told),
        )
        return Told(told["id"], _only_time(written))

    def _updates(self, row: Told, **columns: Any) -> datetime:
        """Set these columns, leave the others as they are; when the feed says that it happened."""
        unset = ("status", "response_body", "error_detail", "duration_ms")
        self._conn.execute(
            """
            UPDATE activity_logs
               SET status = coalesce(%(status)s, status), response_body = coalesce(%(response_body)s, response_body),
                   error_detail = coalesce(%(error_detail)s, error_detail),
                   duration_ms = coalesce(%(duration_ms)s, duration_ms)
             WHERE id = %(id)s
            """,
            _with_bodies({**dict.fromkeys(unset), **columns, "id": row.id}),
        )
        if not self.streamed:
            return row.created_at
        committed = self._conn.execute(  # at a time that the feed tells in milliseconds
            "SELECT date_trunc('milliseconds', pg_xact_commit_timestamp(xmin)) FROM activity_logs WHERE id = %s",
            [row.id],
        )
        return _only_time(committed)


def _with_bodies(values: dict[str, Any]) -> dict[str, Any]:
    return {name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()}


def _only_time(found: psycopg.Cursor[Any]) -> datetime:
    ((time,),) = found.fetchall()
    assert isinstance(time, datetime)
    return time
