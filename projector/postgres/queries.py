"""Read models for operators: each function has its SQL beside it, and returns small named tuples."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg.rows import class_row

from projector.contract.facts import Status
from projector.postgres.connection import Connection, mapped_errors
from projector.postgres.dead_letters import Filter


class PositionDetail(NamedTuple):
    """How far a partition is projected. `member` claimed it last. It is None after an orderly stop."""

    partition: int
    next_offset: int
    member: str | None
    claimed_at: datetime | None
    moved_at: datetime | None
    record_at: datetime | None


class Totals(NamedTuple):
    """Counts: rows of the view by status, parked events, dead letters."""

    delegations: dict[Status, int]
    parked: int
    dead_letters: int


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


class DeadLetterDetail(NamedTuple):
    """A dead letter with its key and value."""

    topic: str
    partition: int
    offset: int
    record_at: datetime | None
    died_at: datetime
    field: str | None
    reason: str
    key: bytes | None
    value: bytes


class ParkedEvent(NamedTuple):
    """An event that waits for the request of its delegation. `age_seconds` is by Postgres' clock."""

    delegation_id: str
    kind: str
    status: Status | None
    at: datetime
    parked_at: datetime
    age_seconds: float
    topic: str
    partition: int
    offset: int
    silent_since: datetime | None = None
    """The evidence of a verdict."""


class ParkedSummary(NamedTuple):
    """Counts of parked events and of their delegations, and the age of the oldest event."""

    events: int
    delegations: int
    oldest_parked_at: datetime | None
    oldest_age_seconds: float | None


def positions(conn: Connection, *, topic: str) -> list[PositionDetail]:
    """The positions of a topic's partitions, in their order."""
    with mapped_errors(), conn.cursor(row_factory=class_row(PositionDetail)) as cursor:
        return cursor.execute(
            """
            SELECT partition, next_offset, member, claimed_at, moved_at, record_at
              FROM positions WHERE topic = %(topic)s ORDER BY partition
            """,
            {"topic": topic},
        ).fetchall()


def totals(conn: Connection) -> Totals:
    """Counts over whole tables. Every status has an entry, which can be 0."""
    with mapped_errors():
        by_status: dict[str, int] = dict(conn.execute("SELECT status, count(*) FROM delegations GROUP BY status"))
        parked, dead_letters = conn.execute(
            "SELECT (SELECT count(*) FROM parked), (SELECT count(*) FROM dead_letters)"
        ).fetchall()[0]
    return Totals({status: by_status.get(status.value, 0) for status in Status}, parked, dead_letters)


def dead_letters(
    conn: Connection, *, topic: str | None = None, partition: int | None = None, limit: int
) -> list[DeadLetterSummary]:
    """The latest dead letters, newest first. None means any topic, any partition."""
    with mapped_errors(), conn.cursor(row_factory=class_row(DeadLetterSummary)) as cursor:
        return cursor.execute(
            """
            SELECT topic, partition, "offset", record_at, died_at, octet_length(value) AS size, field, reason
              FROM dead_letters
             WHERE (%(topic)s::text IS NULL OR topic = %(topic)s)
               AND (%(partition)s::int IS NULL OR partition = %(partition)s)
             ORDER BY died_at DESC, topic, partition, "offset" LIMIT %(limit)s
            """,
            {"topic": topic, "partition": partition, "limit": limit},
        ).fetchall()


def count_dead_letters(conn: Connection, wanted: Filter) -> int:
    """How many dead letters are selected."""
    with mapped_errors():
        counted = conn.execute(
            """
            SELECT count(*) FROM dead_letters
             WHERE (%(topic)s::text IS NULL OR topic = %(topic)s)
               AND (%(partition)s::int IS NULL OR partition = %(partition)s)
               AND (%(offsets)s::bigint[] IS NULL OR "offset" = ANY (%(offsets)s))
            """,
            wanted._asdict(),
        ).fetchone()
    return counted[0] if counted else 0


def dead_letter(conn: Connection, *, topic: str, partition: int, offset: int) -> DeadLetterDetail | None:
    """One dead letter with its bytes."""
    with mapped_errors(), conn.cursor(row_factory=class_row(DeadLetterDetail)) as cursor:
        return cursor.execute(
            """
            SELECT topic, partition, "offset", record_at, died_at, field, reason, key, value FROM dead_letters
             WHERE topic = %(topic)s AND partition = %(partition)s AND "offset" = %(offset)s
            """,
            {"topic": topic, "partition": partition, "offset": offset},
        ).fetchone()


def parked(conn: Connection, *, delegation_id: str | None = None, limit: int) -> list[ParkedEvent]:
    """Parked events in the order of parking. None means any delegation."""
    with mapped_errors(), conn.cursor(row_factory=class_row(ParkedEvent)) as cursor:
        return cursor.execute(
            """
            SELECT delegation_id, kind, status, at, parked_at, topic, partition, "offset", silent_since,
                   extract(epoch FROM clock_timestamp() - parked_at)::float AS age_seconds
              FROM parked
             WHERE %(delegation_id)s::text IS NULL OR delegation_id = %(delegation_id)s
             ORDER BY seq LIMIT %(limit)s
            """,
            {"delegation_id": delegation_id, "limit": limit},
        ).fetchall()


def parked_summary(conn: Connection, *, delegation_id: str | None = None) -> ParkedSummary:
    """How many events are parked, and how long the oldest has waited. None means any delegation."""
    with mapped_errors(), conn.cursor(row_factory=class_row(ParkedSummary)) as cursor:
        return cursor.execute(
            """
            SELECT count(*) AS events, count(DISTINCT delegation_id) AS delegations,
                   min(parked_at) AS oldest_parked_at,
                   extract(epoch FROM clock_timestamp() - min(parked_at))::float AS oldest_age_seconds
              FROM parked
             WHERE %(delegation_id)s::text IS NULL OR delegation_id = %(delegation_id)s
            """,
            {"delegation_id": delegation_id},
        ).fetchall()[0]


def mentions(
    conn: Connection, spellings: Sequence[bytes], places: Sequence[tuple[str, int, int]] = (), *, limit: int
) -> list[DeadLetterDetail]:
    """The dead letters at these places, and those whose value contains one of these byte strings, in log order."""
    with mapped_errors(), conn.cursor(row_factory=class_row(DeadLetterDetail)) as cursor:
        return cursor.execute(
            """
            SELECT topic, partition, "offset", record_at, died_at, field, reason, key, value FROM dead_letters
             WHERE EXISTS (SELECT FROM unnest(%(spellings)s::bytea[]) AS wanted (text)
                            WHERE position(wanted.text IN value) > 0)
                OR (topic, partition, "offset") IN (
                       SELECT * FROM unnest(%(topics)s::text[], %(partitions)s::int[], %(offsets)s::bigint[]))
             ORDER BY topic, partition, "offset" LIMIT %(limit)s
            """,
            {
                "spellings": list(spellings),
                "topics": [topic for topic, _, _ in places],
                "partitions": [partition for _, partition, _ in places],
                "offsets": [offset for _, _, offset in places],
                "limit": limit,
            },
            binary=True,
        ).fetchall()
