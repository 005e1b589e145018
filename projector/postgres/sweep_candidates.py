"""What the sweeper reads in the view: the delegations in flight that may be stuck or overdue, page by page.

Each statement repeats the predicate of the partial index literally, since a parameter would lose the index under a
generic plan. Each scan has its own order and key, so that no candidate hides another one.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, LiteralString, NamedTuple, cast

from psycopg.rows import class_row

from projector.domain.overdue import InFlight
from projector.postgres.connection import Connection, mapped_errors

PAGE = 500
_NEWEST = 200
"""So many delegations of each callee are searched for heartbeats, besides those in flight: the whole history of a
callee that sends none would be read in each pass."""

_OVERDUE = """
    SELECT delegation_id, caller_id::text, callee_id::text, last_heartbeat, deadline, created_at, updated_at
      FROM delegations
     WHERE status IN ('queued', 'dispatched', 'in_progress')
       AND deadline < %(before)s::timestamptz AND isfinite(deadline)
       AND (deadline, delegation_id) > (coalesce(%(after)s::timestamptz, '-infinity'), %(after_id)s)
     ORDER BY deadline, delegation_id LIMIT %(size)s
    """
# `last_heartbeat` is never later than `updated_at`, and it has an index.
_SILENT = """
    SELECT delegation_id, caller_id::text, callee_id::text, last_heartbeat,
           CASE WHEN isfinite(deadline) THEN deadline END AS deadline, created_at, updated_at
      FROM delegations
     WHERE status IN ('queued', 'dispatched', 'in_progress')
       AND last_heartbeat < %(before)s::timestamptz AND updated_at < %(before)s::timestamptz
       AND (deadline >= %(now)s::timestamptz OR NOT isfinite(deadline))
       AND (last_heartbeat, delegation_id) > (coalesce(%(after)s::timestamptz, '-infinity'), %(after_id)s)
     ORDER BY last_heartbeat NULLS FIRST, delegation_id LIMIT %(size)s
    """
_NEVER_HEARD = """
    SELECT delegation_id, caller_id::text, callee_id::text, last_heartbeat,
           CASE WHEN isfinite(deadline) THEN deadline END AS deadline, created_at, updated_at
      FROM delegations
     WHERE status IN ('queued', 'dispatched', 'in_progress')
       AND last_heartbeat IS NULL AND updated_at < %(before)s::timestamptz
       AND (deadline >= %(now)s::timestamptz OR NOT isfinite(deadline))
       AND (%(callees)s::uuid[] IS NULL OR callee_id = ANY (%(callees)s::uuid[]))
       AND delegation_id > %(after_id)s
     ORDER BY last_heartbeat NULLS FIRST, delegation_id LIMIT %(size)s
    """


class Future(NamedTuple):
    """A delegation in flight whose last event has a time in the future."""

    delegation_id: str
    caller_id: str
    callee_id: str
    updated_at: datetime


def overdue(conn: Connection, *, before: datetime) -> Iterator[list[InFlight]]:
    """Pages of the delegations whose deadline was before this time, oldest deadline first."""
    after: datetime | None = None
    after_id = ""
    while page := _page(conn, _OVERDUE, {"before": before, "after": after, "after_id": after_id}):
        yield page
        after, after_id = page[-1].deadline, page[-1].delegation_id


def silent(conn: Connection, *, now: datetime, before: datetime) -> Iterator[list[InFlight]]:
    """Pages of the delegations with a heartbeat and without an event since `before`, whose deadline is to come."""
    after: datetime | None = None
    after_id = ""
    while page := _page(conn, _SILENT, {"now": now, "before": before, "after": after, "after_id": after_id}):
        yield page
        after, after_id = page[-1].last_heartbeat, page[-1].delegation_id


def never_heard(
    conn: Connection, *, now: datetime, before: datetime, callees: Sequence[str] | None
) -> Iterator[list[InFlight]]:
    """Pages of the delegations without any heartbeat, and without an event since `before`, whose deadline is to come.

    `callees`: only of these; None: of all.
    """
    after_id = ""
    listed = None if callees is None else list(callees)
    while page := _page(conn, _NEVER_HEARD, {"now": now, "before": before, "callees": listed, "after_id": after_id}):
        yield page
        after_id = page[-1].delegation_id


def _page(conn: Connection, statement: LiteralString, parameters: dict[str, Any]) -> list[InFlight]:
    with mapped_errors(), conn.cursor(row_factory=class_row(InFlight)) as cursor:
        return cursor.execute(statement, {**parameters, "size": PAGE}).fetchall()


def speaking(conn: Connection, *, now: datetime, since: datetime) -> dict[str, int]:
    """Callee → its delegations in flight, of the callees that have sent a heartbeat for any delegation in this time."""
    with mapped_errors():
        rows = conn.execute(
            """
            WITH in_flight AS (
                SELECT callee_id, count(*) AS delegations,
                       count(*) FILTER (WHERE last_heartbeat BETWEEN %(since)s AND %(now)s) > 0 AS speaks
                  FROM delegations WHERE status IN ('queued', 'dispatched', 'in_progress') GROUP BY callee_id
            )
            SELECT callee_id::text, delegations FROM in_flight i
             WHERE speaks OR (SELECT bool_or(last_heartbeat BETWEEN %(since)s AND %(now)s)
                                FROM (SELECT last_heartbeat FROM delegations d WHERE d.callee_id = i.callee_id
                                       ORDER BY created_at DESC LIMIT %(newest)s) newest)
            """,
            {"now": now, "since": since, "newest": _NEWEST},
        )
        return dict(rows.fetchall())


def future(conn: Connection, *, now: datetime, limit: int) -> tuple[int, list[Future]]:
    """How many delegations in flight were changed by an event of the future, and the nearest of them."""
    with mapped_errors():
        rows = conn.execute(
            """
            SELECT count(*) OVER (), delegation_id, caller_id::text, callee_id::text, updated_at FROM delegations
             WHERE status IN ('queued', 'dispatched', 'in_progress') AND updated_at > %(now)s
             ORDER BY updated_at, delegation_id LIMIT %(limit)s
            """,
            {"now": now, "limit": limit},
        ).fetchall()
    return (rows[0][0] if rows else 0), [Future(*row[1:]) for row in rows]


def latest_event(conn: Connection, *, now: datetime) -> datetime | None:
    """The time of the latest event of any delegation in flight, not later than now."""
    with mapped_errors():
        [(latest,)] = conn.execute(
            """
            SELECT max(updated_at) FROM delegations
             WHERE status IN ('queued', 'dispatched', 'in_progress') AND updated_at <= %(now)s
            """,
            {"now": now},
        ).fetchall()
    return cast("datetime | None", latest)


def requested_before(conn: Connection, before: datetime) -> tuple[int, datetime | None]:
    """How many delegations in flight were requested before this time, and when the oldest of them was."""
    with mapped_errors():
        [row] = conn.execute(
            """
            SELECT count(*), min(created_at) FROM delegations
             WHERE status IN ('queued', 'dispatched', 'in_progress') AND created_at < %(before)s
            """,
            {"before": before},
        ).fetchall()
    return row[0], row[1]
