"""The shadow: the log folded anew beside the view, and the SQL that compares the two; `swap` applies the difference.

A session on the search path of the shadow projects into it with the statements that project into the view; the
functions here are for a session on the view, which names the shadow's tables in full.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from projector.postgres.connection import Connection, transaction

SCHEMA = "projector_shadow"


class Job(NamedTuple):
    """A shadow that is being folded, or was left behind: from what source, by whom, since when."""

    source: str
    owner: str
    since: datetime


class JobStart(NamedTuple):
    """What was noted when the fold began: the source's coverage as JSON, and how many rows it does not cover."""

    coverage: str
    carried_over: int


def lock(conn: Connection) -> bool:
    """Whether this session is the only one that works on the shadow; it is so until the session ends."""
    row = conn.execute("SELECT pg_try_advisory_lock(hashtext('delegations projector: shadow'))").fetchone()
    return bool(row and row[0])


def current_job(conn: Connection) -> Job | None:
    """What the shadow holds, if anything."""
    row = conn.execute("SELECT source, owner, since FROM projector_shadow.work").fetchone()
    return Job._make(row) if row else None


def empty(conn: Connection) -> None:
    """Empty the shadow, but for who is at work."""
    conn.execute(
        """
        TRUNCATE projector_shadow.suspects, projector_shadow.delegations, projector_shadow.positions,
                 projector_shadow.parked, projector_shadow.dead_letters, projector_shadow.large_rows
        """
    )
    conn.execute("UPDATE projector_shadow.work SET source = ''")


def release(conn: Connection) -> None:
    """Be done: nobody is at work."""
    conn.execute("TRUNCATE projector_shadow.work")


def acquire(conn: Connection, owner: str) -> str:
    """Let others know at once who is at work; of what the shadow is that is there, empty if there is none."""
    row = conn.execute(
        """
        INSERT INTO projector_shadow.work (source, owner, coverage, carried_over) VALUES ('', %(owner)s, '{}', 0)
        ON CONFLICT (one) DO UPDATE SET owner = excluded.owner, since = now() RETURNING source
        """,
        {"owner": owner},
    ).fetchone()
    return str(row[0]) if row else ""


def begin(conn: Connection, source: str, begun: JobStart) -> None:
    """Note what is going to be folded, and what it can speak of."""
    conn.execute(
        """
        UPDATE projector_shadow.work
           SET source = %(source)s, coverage = %(coverage)s::jsonb, carried_over = %(carried_over)s
        """,
        {"source": source, **begun._asdict()},
    )


def resume(conn: Connection, token: UUID) -> JobStart:
    """Go on with the shadow that is there, under a new token; what was noted when it began."""
    with transaction(conn):
        conn.execute("TRUNCATE projector_shadow.suspects")
        conn.execute("UPDATE projector_shadow.positions SET owner = %(token)s", {"token": token})
        row = conn.execute("SELECT coverage::text, carried_over FROM projector_shadow.work").fetchone()
    assert row is not None  # noqa: S101 - whoever resumes has signed it, and holds the lock
    return JobStart._make(row)


# --- where the fold stands


def start_at(conn: Connection, topic: str, offsets: Mapping[int, int], token: UUID, topic_id: str | None) -> None:
    """Let the fold begin at these offsets (partition → offset)."""
    conn.execute(
        """
        INSERT INTO projector_shadow.positions (topic, partition, next_offset, owner, topic_id)
        SELECT %(topic)s, partition, next_offset, %(token)s, %(topic_id)s
          FROM unnest(%(partitions)s::int[], %(offsets)s::bigint[]) AS start (partition, next_offset)
        """,
        {
            "topic": topic,
            "token": token,
            "topic_id": topic_id,
            "partitions": list(offsets),
            "offsets": list(offsets.values()),
        },
    )


def reached(conn: Connection, topic: str) -> dict[int, int]:
    """Partition → the next offset to fold."""
    rows = conn.execute(
        "SELECT partition, next_offset FROM projector_shadow.positions WHERE topic = %(topic)s", {"topic": topic}
    )
    return dict(rows)


def source_ids(conn: Connection, topic: str) -> set[str | None]:
    """What `start_at` was told to tell this topic from another of its name."""
    rows = conn.execute("SELECT topic_id FROM projector_shadow.positions WHERE topic = %(topic)s", {"topic": topic})
    return {row[0] for row in rows}


def rows_of_view(conn: Connection) -> int:
    """How many rows the view has."""
    row = conn.execute("SELECT count(*) FROM delegations").fetchone()
    return int(row[0]) if row else 0


def now(conn: Connection) -> datetime:
    """The time by the database's clock."""
    row = conn.execute("SELECT now()").fetchone()
    assert row is not None  # noqa: S101 - it always has one
    found: datetime = row[0]
    return found


def latest_change(conn: Connection) -> datetime | None:
    """The time of the latest event that changed a row of the shadow."""
    row = conn.execute("SELECT max(updated_at) FROM projector_shadow.delegations").fetchone()
    return row[0] if row else None


# --- what the source no longer holds


def carry_over(conn: Connection, before: datetime) -> int:
    """Start from the view's rows that were created before `before`, or after now, as they are; how many."""
    return conn.execute(
        """
        INSERT INTO projector_shadow.delegations
               (delegation_id, caller_id, callee_id, task_preview, status, last_heartbeat, deadline, result_preview,
                error_detail, retry_count, created_at, updated_at, idempotency_key, projector_carried_over)
        SELECT delegation_id, caller_id, callee_id, task_preview, status, last_heartbeat, deadline, result_preview,
               error_detail, retry_count, created_at, updated_at, idempotency_key, true
          FROM delegations WHERE created_at < %(before)s OR created_at > now()
        """,
        {"before": before},
    ).rowcount


def carry_over_parked(conn: Connection, topic: str, beginnings: Mapping[int, int]) -> None:
    """Start from what is parked of records that are not in the log."""
    conn.execute(
        """
        INSERT INTO projector_shadow.parked (topic, partition, "offset", delegation_id, kind, status, at,
                                             result_preview, error_detail, parked_at)
        SELECT p.topic, p.partition, p."offset", p.delegation_id, p.kind, p.status, p.at, p.result_preview,
               p.error_detail, p.parked_at
          FROM parked p
          LEFT JOIN unnest(%(partitions)s::int[], %(beginnings)s::bigint[]) AS log (partition, beginning)
               ON p.topic = %(topic)s AND p.partition = log.partition
         WHERE log.beginning IS NULL OR p."offset" < log.beginning
         ORDER BY p.seq
        """,
        {"topic": topic, "partitions": list(beginnings), "beginnings": list(beginnings.values())},
    )


def carry_over_large_rows(conn: Connection) -> None:
    """Start from the large rows that are known: the log may only have updates of them that leave their bodies out."""
    conn.execute("INSERT INTO projector_shadow.large_rows SELECT * FROM large_rows")


def refused(conn: Connection) -> str | None:
    """Why Postgres would not have one of the records in the shadow, if it has it, or something else, in the view."""
    row = conn.execute(
        """
        SELECT s.reason FROM projector_shadow.dead_letters s
         WHERE s.reason LIKE 'Postgres refused it:%%' AND NOT EXISTS (
               SELECT FROM dead_letters d
                WHERE (d.topic, d.partition, d."offset") = (s.topic, s.partition, s."offset")) LIMIT 1
        """,
        {},
    ).fetchone()
    return str(row[0]) if row else None
