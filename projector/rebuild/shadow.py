"""The shadow: a second copy of the view, into which a rebuild folds its source.

Two kinds of connections use it. One has the shadow's schema first on its search path, so the statements that project
into the view fill the shadow. The functions here take a connection to the view, and name the shadow's schema.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from projector.postgres.connection import Connection, transaction

SCHEMA = "projector_shadow"


class Job(NamedTuple):
    """The run that uses the shadow, or was interrupted while it did: its source, owner (`host/pid`) and start."""

    source: str
    owner: str
    since: datetime


class JobStart(NamedTuple):
    """What is stored when a fold begins: the source's coverage as JSON, and the number of rows carried over."""

    coverage: str
    carried_over: int


def lock(conn: Connection) -> bool:
    """Lock the shadow until the connection closes; False where another connection holds the lock."""
    row = conn.execute("SELECT pg_try_advisory_lock(hashtext('delegations projector: shadow'))").fetchone()
    return bool(row and row[0])


def current_job(conn: Connection) -> Job | None:
    """The run that is stored for the shadow, if there is one."""
    row = conn.execute("SELECT source, owner, since FROM projector_shadow.work").fetchone()
    return Job._make(row) if row else None


def truncate(conn: Connection) -> None:
    """Empty the shadow; its owner stays."""
    conn.execute(
        """
        TRUNCATE projector_shadow.suspects, projector_shadow.delegations, projector_shadow.positions,
                 projector_shadow.parked, projector_shadow.repeated_requests, projector_shadow.dead_letters,
                 projector_shadow.large_rows, projector_shadow.planned_deletions, projector_shadow.order_groups,
                 projector_shadow.order_facts
        """
    )
    conn.execute("UPDATE projector_shadow.work SET source = ''")


def release(conn: Connection) -> None:
    """Delete the owner of the shadow, at the end of a run."""
    conn.execute("TRUNCATE projector_shadow.work")


def acquire(conn: Connection, owner: str) -> str:
    """Store who owns the shadow, for others to see; return the source of an interrupted run, empty if there is none."""
    row = conn.execute(
        """
        INSERT INTO projector_shadow.work (source, owner, coverage, carried_over) VALUES ('', %(owner)s, '{}', 0)
        ON CONFLICT (one) DO UPDATE SET owner = excluded.owner, since = now() RETURNING source
        """,
        {"owner": owner},
    ).fetchone()
    return str(row[0]) if row else ""


def begin(conn: Connection, source: str, start: JobStart) -> None:
    """Store what is going to be folded, for a later `resume`."""
    conn.execute(
        """
        UPDATE projector_shadow.work
           SET source = %(source)s, coverage = %(coverage)s::jsonb, carried_over = %(carried_over)s
        """,
        {"source": source, **start._asdict()},
    )


def resume(conn: Connection, token: UUID) -> JobStart:
    """Resume the fold of an interrupted run under a new token; return what its `begin` stored."""
    with transaction(conn):
        conn.execute(
            """
            TRUNCATE projector_shadow.suspects, projector_shadow.planned_deletions, projector_shadow.order_groups,
                     projector_shadow.order_facts
            """
        )
        conn.execute("UPDATE projector_shadow.positions SET owner = %(token)s", {"token": token})
        row = conn.execute("SELECT coverage::text, carried_over FROM projector_shadow.work").fetchone()
    assert row is not None  # noqa: S101 - the caller holds the lock, and has acquired the row
    return JobStart._make(row)


# --- how far the fold is


def start_at(conn: Connection, topic: str, offsets: Mapping[int, int], token: UUID, topic_id: str | None) -> None:
    """Let the fold begin at these offsets (partition → offset).

    `topic_id` tells this topic or file from an earlier one of the same name; `source_ids` returns it.
    """
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


def positions(conn: Connection, topic: str) -> dict[int, int]:
    """Partition → the next offset to fold."""
    rows = conn.execute(
        "SELECT partition, next_offset FROM projector_shadow.positions WHERE topic = %(topic)s", {"topic": topic}
    )
    return dict(rows)


def last_timestamps(conn: Connection, topic: str) -> dict[int, int]:
    """Partition → the timestamp (ms since 1970) of the last folded record that had one."""
    rows = conn.execute(
        """
        SELECT partition, (extract(epoch FROM record_at) * 1000)::bigint
          FROM projector_shadow.positions WHERE topic = %(topic)s AND record_at IS NOT NULL
        """,
        {"topic": topic},
    )
    return dict(rows)


def store_holes(conn: Connection, holes: Mapping[int, int]) -> None:
    """Store where the holes of the log end (partition → offset), for a run that resumes this one."""
    conn.execute(
        "UPDATE projector_shadow.work SET coverage = jsonb_set(coverage, '{holes}', %(holes)s::jsonb)",
        {"holes": json.dumps(holes)},
    )


def source_ids(conn: Connection, topic: str) -> set[str | None]:
    """The topic ids that `start_at` stored for this topic."""
    rows = conn.execute("SELECT topic_id FROM projector_shadow.positions WHERE topic = %(topic)s", {"topic": topic})
    return {row[0] for row in rows}


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


# --- what a shortened log no longer has


def carry_over_rows(conn: Connection, before: datetime) -> int:
    """Copy the view's rows that were created before `before` into the shadow; return how many.

    Rows created after now are copied too: such a time does not show how old a row is.
    """
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
    """Copy the view's parked events whose records are not in the log (`beginnings`: partition → first offset)."""
    conn.execute(
        """
        INSERT INTO projector_shadow.parked (topic, partition, "offset", delegation_id, kind, status, at,
                                             silent_since, result_preview, error_detail, parked_at)
        SELECT p.topic, p.partition, p."offset", p.delegation_id, p.kind, p.status, p.at, p.silent_since,
               p.result_preview, p.error_detail, p.parked_at
          FROM parked p
          LEFT JOIN unnest(%(partitions)s::int[], %(beginnings)s::bigint[]) AS log (partition, beginning)
               ON p.topic = %(topic)s AND p.partition = log.partition
         WHERE log.beginning IS NULL OR p."offset" < log.beginning
         ORDER BY p.seq
        """,
        {"topic": topic, "partitions": list(beginnings), "beginnings": list(beginnings.values())},
    )


def carry_over_large_rows(conn: Connection) -> None:
    """Copy the view's large rows.

    The log may have only updates of them, and an update leaves out unchanged large values.
    """
    conn.execute("INSERT INTO projector_shadow.large_rows SELECT * FROM large_rows")


def refusal(conn: Connection) -> str | None:
    """Why Postgres refused a record of the shadow that is no dead letter of the view; None if it refused none."""
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
