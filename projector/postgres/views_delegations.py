"""What the dashboard lists of the view: delegations by a filter, page by page, and one delegation."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, LiteralString, NamedTuple, cast

from psycopg.rows import class_row

from projector.errors import StatementTimeout
from projector.postgres.connection import Connection, mapped_errors, transaction

COUNTED = 10_000
"""A total is exact up to this number."""
_MILLISECOND = timedelta(milliseconds=1)

Sort = Literal["created", "age", "silence", "deadline"]
Only = Literal["overdue", "silent", "self"]


class DelegationRow(NamedTuple):
    """A row of the view, without its idempotency key."""

    delegation_id: str
    caller_id: str
    callee_id: str
    task_preview: str
    status: str
    last_heartbeat: datetime | None
    deadline: datetime | None
    result_preview: str | None
    error_detail: str | None
    retry_count: int
    created_at: datetime
    updated_at: datetime


class Wanted(NamedTuple):
    """Which delegations are listed. None means any. `since` and `until` are about `created_at`.

    `only`: overdue (in flight after the deadline), silent (in flight, without an event for `silent_after`), or self
    (the caller is the callee). `delegation_id` may be the start of an id, which no index serves; `whole_id` is one.
    """

    statuses: Sequence[str]
    caller_id: str | None = None
    callee_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    delegation_id: str | None = None
    whole_id: str | None = None
    only: Only | None = None
    silent_after: timedelta = timedelta(minutes=10)

    def parameters(self) -> dict[str, object]:
        """The parameters of the statements of this module."""
        prefix = self.delegation_id
        return {
            "statuses": list(self.statuses),
            "caller_id": self.caller_id,
            "callee_id": self.callee_id,
            "since": self.since,
            "until": self.until,
            "from_id": prefix,
            "to_id": None if prefix is None else prefix + "\U0010ffff",
            "whole_id": self.whole_id,
            "only": self.only,
            "silent_after": self.silent_after,
        }


class Cursor(NamedTuple):
    """The last row of a page: the next page begins after it. `at` is None for a deadline that is infinite."""

    at: datetime | None
    delegation_id: str


# Postgres plans each of these with the values at hand, so that a filter that is null costs nothing.
_COLUMNS: LiteralString = """
    SELECT delegation_id, caller_id::text, callee_id::text, task_preview, status, last_heartbeat,
           CASE WHEN isfinite(deadline) THEN deadline END AS deadline, result_preview, error_detail, retry_count,
           created_at, updated_at
    """
_FILTER: LiteralString = """
      FROM delegations
     WHERE status = ANY (%(statuses)s::text[])
       AND (%(caller_id)s::uuid IS NULL OR caller_id = %(caller_id)s)
       AND (%(callee_id)s::uuid IS NULL OR callee_id = %(callee_id)s)
       AND (%(since)s::timestamptz IS NULL OR created_at >= %(since)s)
       AND (%(until)s::timestamptz IS NULL OR created_at < %(until)s)
       AND (%(from_id)s::text IS NULL
            OR delegation_id COLLATE "C" >= %(from_id)s AND delegation_id COLLATE "C" < %(to_id)s)
       AND (%(whole_id)s::text IS NULL OR delegation_id = %(whole_id)s)
       AND (%(only)s::text IS DISTINCT FROM 'overdue' OR deadline < now())
       AND (%(only)s::text IS DISTINCT FROM 'silent' OR updated_at < now() - %(silent_after)s::interval)
       AND (%(only)s::text IS DISTINCT FROM 'self' OR caller_id = callee_id)
    """
_BY_CREATED: LiteralString = (
    _COLUMNS
    + _FILTER
    + """
       AND (%(at)s::timestamptz IS NULL
            OR created_at <= %(at)s AND (created_at < %(at)s OR delegation_id > %(after_id)s))
     ORDER BY created_at DESC, delegation_id LIMIT %(limit)s
    """
)
# Not by the index on created_at: what is in flight is at its other end.
_BY_AGE: LiteralString = (
    _COLUMNS
    + _FILTER
    + """
       AND (%(at)s::timestamptz IS NULL OR (created_at, delegation_id) > (%(at)s, %(after_id)s))
     ORDER BY created_at + interval '0', delegation_id LIMIT %(limit)s
    """
)
_BY_SILENCE: LiteralString = (
    _COLUMNS
    + _FILTER
    + """
       AND (%(at)s::timestamptz IS NULL OR (updated_at, delegation_id) > (%(at)s, %(after_id)s))
     ORDER BY updated_at, delegation_id LIMIT %(limit)s
    """
)
_BY_DEADLINE: LiteralString = (
    _COLUMNS
    + _FILTER
    + """
       AND (%(after_id)s::text IS NULL
            OR (CASE WHEN isfinite(deadline) THEN deadline ELSE 'infinity' END, delegation_id)
               > (coalesce(%(at)s::timestamptz, 'infinity'), %(after_id)s))
     ORDER BY CASE WHEN isfinite(deadline) THEN deadline ELSE 'infinity' END, delegation_id LIMIT %(limit)s
    """
)
_COUNT: LiteralString = "SELECT count(*) FROM (SELECT 1 " + _FILTER + " LIMIT %(limit)s) AS found"  # noqa: S608 - constants


def listed(conn: Connection, wanted: Wanted, sort: Sort, cursor: Cursor | None, *, limit: int) -> list[DelegationRow]:
    """One page of the delegations that are wanted: by the newest, the oldest, the most silent or the next deadline."""
    place = {"at": cursor and cursor.at, "after_id": cursor and cursor.delegation_id, "limit": limit}
    values = wanted.parameters() | place
    with mapped_errors(), conn.cursor(row_factory=class_row(DelegationRow)) as found:
        if sort == "age":
            return found.execute(_BY_AGE, values, prepare=False).fetchall()
        if sort == "silence":
            return found.execute(_BY_SILENCE, values, prepare=False).fetchall()
        if sort == "deadline":
            return found.execute(_BY_DEADLINE, values, prepare=False).fetchall()
        return found.execute(_BY_CREATED, values, prepare=False).fetchall()


def count(conn: Connection, wanted: Wanted) -> int | None:
    """How many delegations are wanted: exact up to `COUNTED`, one more for any larger number, None if it takes long."""
    try:
        with transaction(conn):
            conn.execute("SET LOCAL statement_timeout = 300")
            [(number,)] = conn.execute(_COUNT, wanted.parameters() | {"limit": COUNTED + 1}, prepare=False).fetchall()
    except StatementTimeout:
        return None
    return cast(int, number)


def one(conn: Connection, delegation_id: str) -> DelegationRow | None:
    """The row of a delegation."""
    with mapped_errors(), conn.cursor(row_factory=class_row(DelegationRow)) as found:
        return found.execute(
            """
            SELECT delegation_id, caller_id::text, callee_id::text, task_preview, status, last_heartbeat,
                   CASE WHEN isfinite(deadline) THEN deadline END AS deadline, result_preview, error_detail,
                   retry_count, created_at, updated_at
              FROM delegations WHERE delegation_id = %(id)s
            """,
            {"id": delegation_id},
        ).fetchone()


def stats(conn: Connection, *, timeout: timedelta) -> dict[str, int]:
    """The number of delegations of each status, over the whole table: six entries, which can be 0.

    `completed` is what remains, so that indexes alone give all six.
    """
    with transaction(conn):
        conn.execute("SELECT set_config('statement_timeout', %(ms)s, true)", {"ms": str(timeout // _MILLISECOND)})
        [found] = conn.execute(
            """
            SELECT f.queued, f.dispatched, f.in_progress,
                   a.number - f.queued - f.dispatched - f.in_progress - e.failed - e.stuck, e.failed, e.stuck
              FROM (SELECT count(*) FILTER (WHERE status = 'queued') AS queued,
                           count(*) FILTER (WHERE status = 'dispatched') AS dispatched,
                           count(*) FILTER (WHERE status = 'in_progress') AS in_progress
                      FROM delegations WHERE status IN ('queued', 'dispatched', 'in_progress')) AS f,
                   (SELECT count(*) FILTER (WHERE status = 'failed') AS failed,
                           count(*) FILTER (WHERE status = 'stuck') AS stuck
                      FROM delegations WHERE status IN ('failed', 'stuck')) AS e,
                   (SELECT count(*) AS number FROM delegations) AS a
            """
        ).fetchall()
    return dict(zip(("queued", "dispatched", "in_progress", "completed", "failed", "stuck"), found, strict=True))
