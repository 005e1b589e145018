"""What the dashboard reads about callers and callees: their work in flight, and how their latest work went."""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from psycopg.rows import class_row

from projector.postgres.connection import Connection, mapped_errors

LATEST = 20_000
"""At most this number of delegations of the window is read, the newest first."""
_BURST = timedelta(seconds=3)

Role = Literal["caller", "callee"]


class Workspace(NamedTuple):
    """A caller or a callee. What follows `heard_at` is of its latest delegations within the window.

    `heard_at`: the last heartbeat of any of its delegations. `p50_seconds` and `p95_seconds`: from request to
    completion. `deadline_p50_seconds`: from request to deadline. `late`: completed after the deadline. `ended_before`
    and `failed_before` (stuck ones included) are of the window before this one. `bursts`: requests within three seconds
    of another one with the same caller and callee. `repeated`: requests of a task that was requested before.
    """

    workspace_id: str
    in_flight: int
    oldest_at: datetime | None
    heard_at: datetime | None
    requested: int
    completed: int
    failed: int
    stuck: int
    p50_seconds: float | None
    p95_seconds: float | None
    deadline_p50_seconds: float | None
    late: int
    ended_before: int
    failed_before: int
    bursts: int
    repeated: int
    to_itself: int


class Pair(NamedTuple):
    """A caller that waits for answers of a callee."""

    caller_id: str
    callee_id: str
    in_flight: int
    overdue: int
    oldest_at: datetime


def workspaces(conn: Connection, role: Role, *, window: timedelta, limit: int) -> list[Workspace]:
    """Those with the most work in flight first, then those with the most failures."""
    with mapped_errors(), conn.cursor(row_factory=class_row(Workspace)) as cursor:
        return cursor.execute(
            """
            WITH flying AS (
                SELECT CASE %(role)s WHEN 'caller' THEN caller_id ELSE callee_id END AS workspace_id,
                       count(*) AS in_flight, min(created_at) AS oldest_at, max(last_heartbeat) AS heard_at
                  FROM delegations WHERE status IN ('queued', 'dispatched', 'in_progress') GROUP BY 1
            ), latest AS (
                SELECT CASE %(role)s WHEN 'caller' THEN caller_id ELSE callee_id END AS workspace_id,
                       caller_id, callee_id, status, created_at, last_heartbeat,
                       CASE WHEN isfinite(updated_at) THEN updated_at END AS updated_at,
                       CASE WHEN isfinite(deadline) THEN deadline END AS deadline, md5(task_preview) AS task
                  FROM delegations WHERE created_at >= now() - %(window)s::interval AND isfinite(created_at)
                 ORDER BY created_at DESC, delegation_id LIMIT %(latest)s
            ), before AS (
                SELECT workspace_id, count(*) AS ended_before,
                       count(*) FILTER (WHERE status IN ('failed', 'stuck')) AS failed_before
                  FROM (SELECT CASE %(role)s WHEN 'caller' THEN caller_id ELSE callee_id END AS workspace_id, status
                          FROM delegations
                         WHERE created_at >= now() - 2 * %(window)s::interval
                           AND created_at < now() - %(window)s::interval
                         ORDER BY created_at DESC, delegation_id LIMIT %(latest)s) AS older
                 WHERE status IN ('completed', 'failed', 'stuck') GROUP BY workspace_id
            ), spaced AS (
                SELECT *, created_at - lag(created_at) OVER (PARTITION BY caller_id, callee_id ORDER BY created_at)
                       <= %(burst)s::interval AS is_burst,
                       row_number() OVER (PARTITION BY caller_id, callee_id, task ORDER BY created_at) > 1
                       AS is_repeated
                  FROM latest
            ), recent AS (
                SELECT workspace_id, count(*) AS requested,
                       count(*) FILTER (WHERE status = 'completed') AS completed,
                       count(*) FILTER (WHERE status = 'failed') AS failed,
                       count(*) FILTER (WHERE status = 'stuck') AS stuck,
                       percentile_cont(ARRAY[0.5, 0.95])
                           WITHIN GROUP (ORDER BY extract(epoch FROM updated_at - created_at)::float)
                           FILTER (WHERE status = 'completed') AS spans,
                       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM deadline - created_at)::float)
                           AS deadline_p50_seconds,
                       count(*) FILTER (WHERE status = 'completed' AND updated_at > deadline) AS late,
                       count(*) FILTER (WHERE is_burst) AS bursts, count(*) FILTER (WHERE is_repeated) AS repeated,
                       count(*) FILTER (WHERE caller_id = callee_id) AS to_itself, max(last_heartbeat) AS heard_at
                  FROM spaced GROUP BY workspace_id
            )
            SELECT coalesce(f.workspace_id, r.workspace_id)::text AS workspace_id,
                   coalesce(f.in_flight, 0) AS in_flight, f.oldest_at,
                   greatest(f.heard_at, r.heard_at) AS heard_at, coalesce(r.requested, 0) AS requested,
                   coalesce(r.completed, 0) AS completed, coalesce(r.failed, 0) AS failed,
                   coalesce(r.stuck, 0) AS stuck,
                   r.spans[1] AS p50_seconds, r.spans[2] AS p95_seconds, r.deadline_p50_seconds,
                   coalesce(r.late, 0) AS late,
                   coalesce(b.ended_before, 0) AS ended_before, coalesce(b.failed_before, 0) AS failed_before,
                   coalesce(r.bursts, 0) AS bursts, coalesce(r.repeated, 0) AS repeated,
                   coalesce(r.to_itself, 0) AS to_itself
              FROM flying f FULL JOIN recent r USING (workspace_id) LEFT JOIN before b USING (workspace_id)
             ORDER BY in_flight DESC, failed + stuck DESC, requested DESC, workspace_id LIMIT %(limit)s
            """,
            {"role": role, "window": window, "latest": LATEST, "burst": _BURST, "limit": limit},
            prepare=False,
        ).fetchall()


def pairs(conn: Connection, *, limit: int) -> list[Pair]:
    """Who waits for whom: the pairs with the most work in flight first."""
    with mapped_errors(), conn.cursor(row_factory=class_row(Pair)) as cursor:
        return cursor.execute(
            """
            SELECT caller_id::text, callee_id::text, count(*) AS in_flight,
                   count(*) FILTER (WHERE deadline < now()) AS overdue, min(created_at) AS oldest_at
              FROM delegations WHERE status IN ('queued', 'dispatched', 'in_progress')
             GROUP BY caller_id, callee_id ORDER BY count(*) DESC, min(created_at), caller_id, callee_id
             LIMIT %(limit)s
            """,
            {"limit": limit},
        ).fetchall()
