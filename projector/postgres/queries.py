"""Read models for operators: each function has its SQL beside it, and returns small named tuples."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, cast

from psycopg.rows import class_row

from projector.contract.facts import Status
from projector.postgres.connection import Connection, mapped_errors
from projector.postgres.parked import ANY_PARKED, ParkedFilter


class PositionDetail(NamedTuple):
    """How far a partition is projected. `member` of `group_id` claimed it last. Both are None after an orderly stop."""

    partition: int
    next_offset: int
    member: str | None
    claimed_at: datetime | None
    moved_at: datetime | None
    record_at: datetime | None
    group_id: str | None = None


class Totals(NamedTuple):
    """Counts: rows of the view by status, parked events, dead letters of all topics and of the topic in force."""

    delegations: dict[Status, int]
    parked: int
    dead_letters: int
    dead_letters_of_topic: int


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
    """An event that waits for the request of its delegation. `age_seconds` is by Postgres' clock.

    `holder_id` is another delegation, which holds the idempotency key that the request repeated: the event is never
    applied. None if no request came. `silent_since` is the evidence of a verdict.
    """

    delegation_id: str
    kind: str
    status: Status | None
    at: datetime
    parked_at: datetime
    age_seconds: float
    topic: str
    partition: int
    offset: int
    holder_id: str | None = None
    silent_since: datetime | None = None


class ParkedSummary(NamedTuple):
    """Counts of parked events and of their delegations, and the age of the oldest event.

    `repeated` events are of delegations whose request repeated an idempotency key. `last_seq` is that of the latest.
    """

    events: int
    delegations: int
    repeated: int
    oldest_parked_at: datetime | None
    oldest_age_seconds: float | None
    last_seq: int | None


def positions(conn: Connection, *, topic: str) -> list[PositionDetail]:
    """The positions of a topic's partitions, in their order."""
    with mapped_errors(), conn.cursor(row_factory=class_row(PositionDetail)) as cursor:
        return cursor.execute(
            """
            SELECT partition, next_offset, member, claimed_at, moved_at, record_at, group_id
              FROM positions WHERE topic = %(topic)s ORDER BY partition
            """,
            {"topic": topic},
        ).fetchall()


def topics(conn: Connection) -> list[str]:
    """The topics that have positions."""
    with mapped_errors():
        return [topic for (topic,) in conn.execute("SELECT DISTINCT topic FROM positions ORDER BY topic")]


def totals(conn: Connection, *, topic: str) -> Totals:
    """Counts over whole tables. Every status has an entry, which can be 0."""
    with mapped_errors():
        by_status: dict[str, int] = dict(conn.execute("SELECT status, count(*) FROM delegations GROUP BY status"))
        counts = conn.execute(
            """
            SELECT (SELECT count(*) FROM parked), count(*), count(*) FILTER (WHERE topic = %(topic)s) FROM dead_letters
            """,
            {"topic": topic},
        ).fetchall()[0]
    return Totals({status: by_status.get(status.value, 0) for status in Status}, *counts)


def clock(conn: Connection) -> datetime:
    """The time by Postgres' clock."""
    with mapped_errors():
        [(now,)] = conn.execute("SELECT clock_timestamp()").fetchall()
    return cast(datetime, now)


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
            SELECT p.delegation_id, p.kind, p.status, p.at, p.silent_since, p.parked_at,
                   extract(epoch FROM clock_timestamp() - p.parked_at)::float AS age_seconds,
                   p.topic, p.partition, p."offset",
                   (SELECT r.holder_id FROM repeated_requests r WHERE r.delegation_id = p.delegation_id) AS holder_id
              FROM parked p
             WHERE %(delegation_id)s::text IS NULL OR p.delegation_id = %(delegation_id)s
             ORDER BY p.seq LIMIT %(limit)s
            """,
            {"delegation_id": delegation_id, "limit": limit},
        ).fetchall()


def parked_summary(conn: Connection, wanted: ParkedFilter = ANY_PARKED, *, limit: int | None = None) -> ParkedSummary:
    """Counts of the selected parked events. It counts up to `limit` of them, the oldest first."""
    with mapped_errors(), conn.cursor(row_factory=class_row(ParkedSummary)) as cursor:
        # A subquery per row, not a join: with a limit, Postgres must not read all repeated requests.
        return cursor.execute(
            """
            SELECT count(*) AS events, count(DISTINCT delegation_id) AS delegations, count(holder_id) AS repeated,
                   min(parked_at) AS oldest_parked_at,
                   extract(epoch FROM clock_timestamp() - min(parked_at))::float AS oldest_age_seconds,
                   max(seq) AS last_seq
              FROM (SELECT p.seq, p.delegation_id, p.parked_at,
                           (SELECT r.holder_id FROM repeated_requests r WHERE r.delegation_id = p.delegation_id)
                           AS holder_id
                      FROM parked p
                     WHERE (%(last_seq)s::bigint IS NULL OR p.seq <= %(last_seq)s)
                       AND (%(delegation_ids)s::text[] IS NULL OR p.delegation_id = ANY (%(delegation_ids)s))
                       AND (%(before)s::timestamptz IS NULL OR p.parked_at < %(before)s)
                       AND (%(is_repeated)s::boolean IS NULL
                            OR %(is_repeated)s = EXISTS (SELECT FROM repeated_requests r
                                                          WHERE r.delegation_id = p.delegation_id))
                     ORDER BY p.seq LIMIT %(limit)s::bigint) AS selected
            """,
            {**wanted._asdict(), "limit": limit},
        ).fetchall()[0]


def parked_delegations(conn: Connection, delegation_ids: Sequence[str]) -> set[str]:
    """Those of these delegations for which events are parked."""
    with mapped_errors():
        rows = conn.execute(
            "SELECT DISTINCT delegation_id FROM parked WHERE delegation_id = ANY (%(ids)s)",
            {"ids": list(delegation_ids)},
        )
        return {delegation_id for (delegation_id,) in rows}


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


def triggers_and_rules(conn: Connection) -> list[str]:
    """The names of the triggers and rules on the table `delegations`: they can change or refuse what is written."""
    rows = conn.execute(
        """
        SELECT 'trigger ' || tgname FROM pg_trigger
         WHERE tgrelid = to_regclass('delegations') AND NOT tgisinternal AND tgenabled <> 'D'
           AND tgname <> 'projector_refuse_pruned'
        UNION ALL
        SELECT 'rule ' || rulename FROM pg_rewrite
         WHERE ev_class = to_regclass('delegations') AND ev_type <> '1' AND ev_enabled <> 'D'
         ORDER BY 1
        """
    )
    return [row[0] for row in rows]
