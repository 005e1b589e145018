"""What the dashboard exports about the view as a whole. Counts stop at a limit, so a scrape always costs the same."""

from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from projector.postgres.connection import Connection, mapped_errors

MOST = 100_000


class Gauges(NamedTuple):
    """Numbers of delegations in flight, of what waits, and ages in seconds. None: there is none."""

    queued: int
    dispatched: int
    in_progress: int
    oldest_in_flight_seconds: float | None
    oldest_silent_seconds: float | None
    overdue: int
    parked: int
    parked_of_repeated_requests: int
    parked_oldest_seconds: float | None
    dead_letters: int
    dead_letters_newest_at: datetime | None
    push_due: int
    push_oldest_due_seconds: float | None
    push_given_up: int
    push_expired: int


def gauges(conn: Connection) -> Gauges:
    """All of them, in one statement."""
    with mapped_errors(), conn.cursor(row_factory=class_row(Gauges)) as cursor:
        [found] = cursor.execute(
            """
            WITH flying AS (
                SELECT count(*) FILTER (WHERE status = 'queued') AS queued,
                       count(*) FILTER (WHERE status = 'dispatched') AS dispatched,
                       count(*) FILTER (WHERE status = 'in_progress') AS in_progress,
                       extract(epoch FROM now() - min(created_at))::float AS oldest_in_flight_seconds,
                       extract(epoch FROM now() - min(updated_at))::float AS oldest_silent_seconds,
                       count(*) FILTER (WHERE deadline < now()) AS overdue
                  FROM delegations WHERE status IN ('queued', 'dispatched', 'in_progress')
            ), waiting AS (
                SELECT p.parked_at,
                       EXISTS (SELECT FROM repeated_requests r WHERE r.delegation_id = p.delegation_id) AS is_repeated
                  FROM parked p ORDER BY p.seq LIMIT %(most)s
            ), parked AS (
                SELECT count(*) FILTER (WHERE NOT is_repeated) AS parked,
                       count(*) FILTER (WHERE is_repeated) AS parked_of_repeated_requests,
                       extract(epoch FROM now() - min(parked_at) FILTER (WHERE NOT is_repeated))::float
                           AS parked_oldest_seconds
                  FROM waiting
            ), letters AS (
                SELECT count(*) AS dead_letters, max(died_at) AS dead_letters_newest_at
                  FROM (SELECT died_at FROM dead_letters ORDER BY died_at DESC LIMIT %(most)s) AS latest
            ), due AS (
                SELECT count(*) AS push_due, extract(epoch FROM now() - min(due_at))::float AS push_oldest_due_seconds
                  FROM (SELECT due_at FROM outbox WHERE ended_as IS NULL AND next_attempt_at <= now()
                         ORDER BY next_attempt_at LIMIT %(most)s) AS first
            ), unsent AS (
                SELECT count(*) FILTER (WHERE ended_as = 'given_up') AS push_given_up,
                       count(*) FILTER (WHERE ended_as = 'expired') AS push_expired
                  FROM (SELECT ended_as FROM outbox WHERE given_up_at IS NOT NULL
                         ORDER BY given_up_at DESC LIMIT %(most)s) AS latest
            )
            SELECT * FROM flying, parked, letters, due, unsent
            """,
            {"most": MOST},
        ).fetchall()
    return found
