"""What the dashboard reads about what could not be read, placed or sent. Each costs the same however much there is."""

from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from projector.postgres.connection import Connection, mapped_errors
from projector.postgres.passes import FinishedPass

LATEST = 1_000


class LetterGroup(NamedTuple):
    """The latest dead letters with one reason."""

    topic: str
    reason: str
    letters: int
    last_at: datetime
    sample_partition: int
    sample_offset: int


class ParkedGroup(NamedTuple):
    """The oldest parked events, by whether the request of their delegation repeated an idempotency key."""

    is_repeated: bool
    events: int
    delegations: int
    oldest_at: datetime


class Unsent(NamedTuple):
    """A reply that is due, was given up or has expired."""

    delegation_id: str
    state: str
    due_at: datetime
    attempts: int
    last_error: str | None


def letters(conn: Connection) -> list[LetterGroup]:
    """The latest thousand dead letters by topic and reason, the most frequent first."""
    with mapped_errors(), conn.cursor(row_factory=class_row(LetterGroup)) as cursor:
        return cursor.execute(
            """
            SELECT topic, reason, count(*) AS letters, max(died_at) AS last_at,
                   (array_agg(partition ORDER BY died_at DESC))[1] AS sample_partition,
                   (array_agg("offset" ORDER BY died_at DESC))[1] AS sample_offset
              FROM (SELECT topic, left(reason, 300) AS reason, partition, "offset", died_at FROM dead_letters
                     ORDER BY died_at DESC, topic, partition, "offset" LIMIT %(latest)s) AS latest
             GROUP BY topic, reason ORDER BY count(*) DESC, topic, reason
            """,
            {"latest": LATEST},
        ).fetchall()


def parked(conn: Connection) -> list[ParkedGroup]:
    """The oldest thousand parked events."""
    with mapped_errors(), conn.cursor(row_factory=class_row(ParkedGroup)) as cursor:
        return cursor.execute(
            """
            SELECT is_repeated, count(*) AS events, count(DISTINCT delegation_id) AS delegations,
                   min(parked_at) AS oldest_at
              FROM (SELECT p.delegation_id, p.parked_at,
                           EXISTS (SELECT FROM repeated_requests r WHERE r.delegation_id = p.delegation_id)
                           AS is_repeated
                      FROM parked p ORDER BY p.seq LIMIT %(latest)s) AS oldest
             GROUP BY is_repeated ORDER BY is_repeated
            """,
            {"latest": LATEST},
        ).fetchall()


def unsent(conn: Connection, *, limit: int) -> list[Unsent]:
    """The replies that are due, the oldest first, then the latest that were given up or have expired.

    One that waits for its next try is due.
    """
    with mapped_errors(), conn.cursor(row_factory=class_row(Unsent)) as cursor:
        return cursor.execute(
            """
            (SELECT delegation_id, 'due' AS state, due_at, attempts, last_error FROM outbox
              WHERE ended_as IS NULL AND due_at <= now() ORDER BY due_at LIMIT %(limit)s)
            UNION ALL
            (SELECT delegation_id, ended_as, due_at, attempts, last_error FROM outbox
              WHERE given_up_at IS NOT NULL AND ended_as IN ('given_up', 'expired')
              ORDER BY given_up_at DESC LIMIT %(limit)s)
            """,
            {"limit": limit},
        ).fetchall()


def passes(conn: Connection, *, limit: int) -> list[FinishedPass]:
    """The latest passes of all kinds, newest first."""
    with mapped_errors(), conn.cursor(row_factory=class_row(FinishedPass)) as cursor:
        return cursor.execute(
            "SELECT kind, started_at, ended_at, result FROM passes ORDER BY id DESC LIMIT %(limit)s", {"limit": limit}
        ).fetchall()
