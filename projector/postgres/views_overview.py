"""What the first page of the dashboard reads: what is in flight, what needs a person, and how the last day went."""

from datetime import datetime, timedelta
from typing import NamedTuple

from psycopg.rows import class_row

from projector.postgres.connection import Connection, mapped_errors

SILENT_CALLEE_AFTER = timedelta(hours=1)
MOST = 10_000


class InFlight(NamedTuple):
    """Counts of the delegations in flight. `silent`: without an event for `silent_after`. `oldest_at`: `created_at`."""

    queued: int
    dispatched: int
    in_progress: int
    overdue: int
    silent: int
    oldest_at: datetime | None
    last_event_at: datetime | None


class Failures(NamedTuple):
    """Delegations that ended as failed or stuck: in the last hour, and per hour in the day before it."""

    last_hour_failed: int
    last_hour_stuck: int
    per_hour_before: float


class WedgedCallee(NamedTuple):
    """A callee with work in flight that has completed nothing for an hour."""

    callee_id: str
    in_flight: int
    oldest_at: datetime
    last_heard_at: datetime


class Hour(NamedTuple):
    """Delegations that were created in this hour, and how many of them have failed or are stuck."""

    starts_at: datetime
    created: int
    failed: int


def in_flight(conn: Connection, *, silent_after: timedelta) -> InFlight:
    """Counts over all delegations in flight: one scan of the partial index."""
    with mapped_errors(), conn.cursor(row_factory=class_row(InFlight)) as cursor:
        [found] = cursor.execute(
            """
            SELECT count(*) FILTER (WHERE status = 'queued') AS queued,
                   count(*) FILTER (WHERE status = 'dispatched') AS dispatched,
                   count(*) FILTER (WHERE status = 'in_progress') AS in_progress,
                   count(*) FILTER (WHERE deadline < now()) AS overdue,
                   count(*) FILTER (WHERE updated_at < now() - %(silent_after)s::interval) AS silent,
                   min(created_at) AS oldest_at, max(updated_at) AS last_event_at
              FROM delegations WHERE status IN ('queued', 'dispatched', 'in_progress')
            """,
            {"silent_after": silent_after},
        ).fetchall()
    return found


def failures(conn: Connection) -> Failures:
    """Failures of the last hour beside the 24 hours before it."""
    with mapped_errors(), conn.cursor(row_factory=class_row(Failures)) as cursor:
        [found] = cursor.execute(
            """
            SELECT count(*) FILTER (WHERE updated_at >= now() - interval '1 hour' AND status = 'failed')
                       AS last_hour_failed,
                   count(*) FILTER (WHERE updated_at >= now() - interval '1 hour' AND status = 'stuck')
                       AS last_hour_stuck,
                   count(*) FILTER (WHERE updated_at < now() - interval '1 hour') / 24.0::float AS per_hour_before
              FROM delegations
             WHERE status IN ('failed', 'stuck') AND updated_at >= now() - interval '25 hours'
            """
        ).fetchall()
    return found


def wedged_callees(conn: Connection, *, limit: int) -> list[WedgedCallee]:
    """Callees with work that is older than an hour, of which none was completed in the last hour, most work first.

    A hundred callees are looked at, those with the most work, and the latest requests of each, at most 5,000.
    """
    with mapped_errors(), conn.cursor(row_factory=class_row(WedgedCallee)) as cursor:
        # The inner limits keep the plan: by the index, callee by callee, only until `limit` callees are found.
        return cursor.execute(
            """
            SELECT w.callee_id::text, w.in_flight, w.oldest_at, w.last_heard_at
              FROM (SELECT callee_id, count(*) AS in_flight, min(created_at) AS oldest_at,
                           max(coalesce(last_heartbeat, updated_at)) AS last_heard_at
                      FROM delegations WHERE status IN ('queued', 'dispatched', 'in_progress')
                     GROUP BY callee_id HAVING min(created_at) < now() - %(after)s::interval
                     ORDER BY count(*) DESC, callee_id LIMIT 100) AS w
             WHERE (SELECT true
                      FROM (SELECT status, updated_at FROM delegations d WHERE d.callee_id = w.callee_id
                             ORDER BY d.created_at DESC LIMIT 5000) AS latest
                     WHERE status = 'completed' AND updated_at >= now() - %(after)s::interval LIMIT 1) IS NULL
             ORDER BY w.in_flight DESC, w.callee_id LIMIT %(limit)s
            """,
            {"after": SILENT_CALLEE_AFTER, "limit": limit},
        ).fetchall()


def last_day(conn: Connection) -> list[Hour]:
    """The last 24 hours, oldest first, the current one included."""
    with mapped_errors(), conn.cursor(row_factory=class_row(Hour)) as cursor:
        return cursor.execute(
            """
            SELECT h.starts_at, count(d.created_at) AS created,
                   count(*) FILTER (WHERE d.status IN ('failed', 'stuck')) AS failed
              FROM generate_series(date_trunc('hour', now()) - interval '23 hours', date_trunc('hour', now()),
                                   interval '1 hour') AS h (starts_at)
              LEFT JOIN (SELECT date_trunc('hour', created_at) AS starts_at, created_at, status FROM delegations
                          WHERE created_at >= date_trunc('hour', now()) - interval '23 hours') AS d USING (starts_at)
             GROUP BY h.starts_at ORDER BY h.starts_at
            """
        ).fetchall()


class Leftovers(NamedTuple):
    """What waits: dead letters, parked events, replies not sent a minute after they were due, replies given up.

    Each count stops at `MOST`. `unsent` is None while results are not pushed.
    """

    dead_letters: int
    parked: int
    unsent: int | None
    given_up: int


def leftovers(conn: Connection) -> Leftovers:
    """Counts that cost the same however much waits."""
    with mapped_errors(), conn.cursor(row_factory=class_row(Leftovers)) as cursor:
        [found] = cursor.execute(
            """
            SELECT (SELECT count(*) FROM (SELECT FROM dead_letters LIMIT %(most)s) AS found) AS dead_letters,
                   (SELECT count(*) FROM (SELECT FROM parked LIMIT %(most)s) AS found) AS parked,
                   (SELECT count(*) FROM (SELECT FROM outbox
                                           WHERE ended_as IS NULL AND due_at < now() - interval '1 minute'
                                           LIMIT %(most)s) AS found)
                       AS unsent,
                   (SELECT count(*) FROM (SELECT FROM outbox WHERE given_up_at IS NOT NULL AND ended_as = 'given_up'
                                           LIMIT %(most)s) AS found) AS given_up
            """,
            {"most": MOST},
        ).fetchall()
    return found
