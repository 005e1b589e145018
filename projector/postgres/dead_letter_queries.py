"""Read models of dead letters, by a selection: a list, and counts."""

from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from projector.postgres.connection import Connection, mapped_errors
from projector.postgres.dead_letters import Filter


class DeadLetterSummary(NamedTuple):
    """A dead letter without its bytes. `size` is the number of bytes of its value."""

    topic: str
    partition: int
    offset: int
    record_at: datetime | None
    died_at: datetime
    size: int
    field: str | None
    reason: str


class LatestReason(NamedTuple):
    """How many of the latest dead letters have one reason and field."""

    reason: str
    field: str | None
    letters: int


class ReasonCount(NamedTuple):
    """How many dead letters of a topic have one reason, and the totals over all topics and reasons."""

    topic: str
    reason: str
    letters: int
    all_letters: int
    all_reasons: int


def latest(conn: Connection, wanted: Filter, *, limit: int) -> list[DeadLetterSummary]:
    """The latest selected dead letters, newest first."""
    with mapped_errors(), conn.cursor(row_factory=class_row(DeadLetterSummary)) as cursor:
        return cursor.execute(
            """
            SELECT topic, partition, "offset", record_at, died_at, octet_length(value) AS size, field, reason
              FROM dead_letters
             WHERE (%(topic)s::text IS NULL OR topic = %(topic)s)
               AND (%(partition)s::int IS NULL OR partition = %(partition)s)
               AND (%(offsets)s::bigint[] IS NULL OR "offset" = ANY (%(offsets)s))
               AND (%(reason)s::text IS NULL OR strpos(reason, %(reason)s) > 0)
               AND (%(field)s::text IS NULL OR field = %(field)s)
               AND (%(after)s::timestamptz IS NULL OR died_at >= %(after)s)
               AND (%(before)s::timestamptz IS NULL OR died_at < %(before)s)
             ORDER BY died_at DESC, topic, partition, "offset" LIMIT %(limit)s
            """,
            {**wanted._asdict(), "limit": limit},
        ).fetchall()


def count(conn: Connection, wanted: Filter, *, limit: int | None = None) -> int:
    """How many dead letters are selected. It counts up to `limit`."""
    with mapped_errors():
        [(count,)] = conn.execute(
            """
            SELECT count(*) FROM (
                SELECT FROM dead_letters
                 WHERE (%(topic)s::text IS NULL OR topic = %(topic)s)
                   AND (%(partition)s::int IS NULL OR partition = %(partition)s)
                   AND (%(offsets)s::bigint[] IS NULL OR "offset" = ANY (%(offsets)s))
                   AND (%(reason)s::text IS NULL OR strpos(reason, %(reason)s) > 0)
                   AND (%(field)s::text IS NULL OR field = %(field)s)
                   AND (%(after)s::timestamptz IS NULL OR died_at >= %(after)s)
                   AND (%(before)s::timestamptz IS NULL OR died_at < %(before)s)
                 LIMIT %(limit)s::bigint) AS selected
            """,
            {**wanted._asdict(), "limit": limit},
        ).fetchall()
    return int(count)


def by_reason(conn: Connection, wanted: Filter, *, limit: int) -> list[ReasonCount]:
    """The selected dead letters by topic and reason, the most frequent first. Reads each of them once."""
    with mapped_errors(), conn.cursor(row_factory=class_row(ReasonCount)) as cursor:
        return cursor.execute(
            """
            SELECT topic, reason, count(*) AS letters, (sum(count(*)) OVER ())::bigint AS all_letters,
                   count(*) OVER () AS all_reasons
              FROM dead_letters
             WHERE (%(topic)s::text IS NULL OR topic = %(topic)s)
               AND (%(partition)s::int IS NULL OR partition = %(partition)s)
               AND (%(offsets)s::bigint[] IS NULL OR "offset" = ANY (%(offsets)s))
               AND (%(reason)s::text IS NULL OR strpos(reason, %(reason)s) > 0)
               AND (%(field)s::text IS NULL OR field = %(field)s)
               AND (%(after)s::timestamptz IS NULL OR died_at >= %(after)s)
               AND (%(before)s::timestamptz IS NULL OR died_at < %(before)s)
             GROUP BY topic, reason ORDER BY count(*) DESC, topic, reason LIMIT %(limit)s
            """,
            {**wanted._asdict(), "limit": limit},
        ).fetchall()


def latest_reasons(conn: Connection, wanted: Filter, *, limit: int) -> list[LatestReason]:
    """The reasons of the latest `limit` selected dead letters, with their counts."""
    with mapped_errors(), conn.cursor(row_factory=class_row(LatestReason)) as cursor:
        return cursor.execute(
            """
            SELECT reason, field, count(*) AS letters
              FROM (SELECT reason, field FROM dead_letters
                     WHERE (%(topic)s::text IS NULL OR topic = %(topic)s)
                       AND (%(partition)s::int IS NULL OR partition = %(partition)s)
                       AND (%(offsets)s::bigint[] IS NULL OR "offset" = ANY (%(offsets)s))
                       AND (%(reason)s::text IS NULL OR strpos(reason, %(reason)s) > 0)
                       AND (%(field)s::text IS NULL OR field = %(field)s)
                       AND (%(after)s::timestamptz IS NULL OR died_at >= %(after)s)
                       AND (%(before)s::timestamptz IS NULL OR died_at < %(before)s)
                     ORDER BY died_at DESC, topic, partition, "offset" LIMIT %(limit)s) AS latest
             GROUP BY reason, field
            """,
            {**wanted._asdict(), "limit": limit},
        ).fetchall()


def offsets(conn: Connection, wanted: Filter) -> set[int]:
    """The offsets at which dead letters are selected."""
    with mapped_errors():
        rows = conn.execute(
            """
            SELECT DISTINCT "offset" FROM dead_letters
             WHERE topic = %(topic)s AND partition = %(partition)s AND "offset" = ANY (%(offsets)s)
            """,
            wanted._asdict(),
        )
        return {offset for (offset,) in rows}
