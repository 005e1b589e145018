"""What the dashboard reads about failures: the latest, with the reason of each."""

from datetime import datetime, timedelta
from typing import NamedTuple

from psycopg.rows import class_row

from projector.postgres.connection import Connection, mapped_errors

LATEST = 2_000


class Failed(NamedTuple):
    """A delegation that failed or is stuck. `ended_at` is the time of its last event."""

    delegation_id: str
    caller_id: str
    callee_id: str
    status: str
    error_detail: str | None
    ended_at: datetime


def latest(
    conn: Connection, *, window: timedelta, caller_id: str | None = None, callee_id: str | None = None
) -> list[Failed]:
    """The latest within the window, newest first, at most `LATEST`."""
    with mapped_errors(), conn.cursor(row_factory=class_row(Failed)) as cursor:
        return cursor.execute(
            """
            SELECT delegation_id, caller_id::text, callee_id::text, status, left(error_detail, 500) AS error_detail,
                   updated_at AS ended_at
              FROM delegations
             WHERE status IN ('failed', 'stuck') AND updated_at >= now() - %(window)s::interval
               AND (%(caller_id)s::uuid IS NULL OR caller_id = %(caller_id)s)
               AND (%(callee_id)s::uuid IS NULL OR callee_id = %(callee_id)s)
             ORDER BY updated_at DESC LIMIT %(limit)s
            """,
            {"window": window, "caller_id": caller_id, "callee_id": callee_id, "limit": LATEST},
            prepare=False,
        ).fetchall()
