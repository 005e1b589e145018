"""Candidates: the delegations that may differ between the view and its shadow.

They are stored in the table `projector_shadow.suspects`. A later step compares each of them, and then clears those that
are not to be written.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime

from projector.postgres.connection import Connection


def add_differing(
    conn: Connection, *, steps: bool, every: int, uncovered_before: datetime | None, proves_absence: bool
) -> int:
    """Add every row that differs between view and shadow; return how many rows of the view the source does not cover.

    Without `steps`, the times of changes are not compared. `every` selects one id in `every`, as `in_sample` does.

    A row that only the view has is counted, and not added, where the source cannot prove it wrong: it was created
    before `uncovered_before`, or the source does not prove absence. There may be millions of such rows.
    """
    row = conn.execute(
        """
        WITH different AS (
        SELECT coalesce(d.delegation_id, s.delegation_id) AS delegation_id,
               s.delegation_id IS NULL
               AND (coalesce(d.created_at < %(before)s, false) OR NOT %(proves_absence)s) AS uncovered
          FROM delegations d FULL JOIN projector_shadow.delegations s ON s.delegation_id = d.delegation_id
         WHERE ('x' || left(md5(coalesce(d.delegation_id, s.delegation_id)), 8))::bit(32)::bigint %% %(every)s = 0
           AND NOT coalesce(s.projector_carried_over, false)
           AND (d.delegation_id IS NULL OR s.delegation_id IS NULL
            OR (d.caller_id, d.callee_id, d.task_preview, d.status, d.deadline, d.result_preview, d.error_detail,
                d.retry_count, d.created_at, d.idempotency_key)
               IS DISTINCT FROM
               (s.caller_id, s.callee_id, s.task_preview, s.status, s.deadline, s.result_preview, s.error_detail,
                s.retry_count, s.created_at, s.idempotency_key)
            OR (%(steps)s AND (d.last_heartbeat, d.updated_at) IS DISTINCT FROM (s.last_heartbeat, s.updated_at)))
        ), added AS (
            INSERT INTO projector_shadow.suspects SELECT delegation_id FROM different WHERE NOT uncovered
            ON CONFLICT DO NOTHING
        )
        SELECT count(*) FROM different WHERE uncovered
        """,
        {"steps": steps, "every": every, "before": uncovered_before, "proves_absence": proves_absence},
    ).fetchone()
    return int(row[0]) if row else 0


def in_sample(delegation_id: str, every: int) -> bool:
    """Whether a delegation is in the sample of one in `every`."""
    return int(hashlib.md5(delegation_id.encode(), usedforsecurity=False).hexdigest()[:8], 16) % every == 0


def add_parked(conn: Connection) -> None:
    """Add every delegation whose parked events differ between view and shadow."""
    conn.execute(
        """
        INSERT INTO projector_shadow.suspects (delegation_id)
        SELECT DISTINCT delegation_id
          FROM parked p FULL JOIN projector_shadow.parked s
               USING (topic, partition, "offset", delegation_id, kind, at)
         WHERE p.seq IS NULL OR s.seq IS NULL
            OR (p.status, p.silent_since, p.result_preview, p.error_detail)
               IS DISTINCT FROM (s.status, s.silent_since, s.result_preview, s.error_detail)
        ON CONFLICT DO NOTHING
        """
    )


def add(conn: Connection, ids: Sequence[str]) -> None:
    """Add these delegations, except rows that were carried over from the view: those are never compared."""
    conn.execute(
        """
        INSERT INTO projector_shadow.suspects
        SELECT id FROM unnest(%(ids)s::text[]) AS id
         WHERE NOT EXISTS (SELECT FROM projector_shadow.delegations WHERE delegation_id = id AND projector_carried_over)
        ON CONFLICT DO NOTHING
        """,
        {"ids": ids},
    )


def read(conn: Connection, size: int = 1000) -> Iterator[list[str]]:
    """The ids of all candidates in order, in lists of at most `size`."""
    after = ""
    while True:
        rows = conn.execute(
            """
            SELECT delegation_id FROM projector_shadow.suspects WHERE delegation_id > %(after)s
             ORDER BY delegation_id LIMIT %(size)s
            """,
            {"after": after, "size": size},
        ).fetchall()
        if not rows:
            return
        yield [row[0] for row in rows]
        after = rows[-1][0]


def clear(conn: Connection, ids: Sequence[str]) -> None:
    """Remove candidates that are not to be written."""
    conn.execute("DELETE FROM projector_shadow.suspects WHERE delegation_id = ANY(%(ids)s)", {"ids": ids})


# --- the deletions that a plan has shown; these take a connection to the shadow


def begin_plan(conn: Connection) -> None:
    """Forget the deletions of an earlier plan."""
    conn.execute("TRUNCATE projector_shadow.planned_deletions")


def plan_deletions(conn: Connection, ids: Sequence[str]) -> None:
    """Note that a repair deletes rows or parked events of these delegations."""
    conn.execute(
        "INSERT INTO projector_shadow.planned_deletions SELECT unnest(%(ids)s::text[]) ON CONFLICT DO NOTHING",
        {"ids": ids},
    )


def are_planned(conn: Connection, ids: Sequence[str]) -> bool:
    """Whether the plan has shown the deletions of all these delegations."""
    row = conn.execute(
        """
        SELECT NOT EXISTS (SELECT unnest(%(ids)s::text[]) EXCEPT SELECT delegation_id
                             FROM projector_shadow.planned_deletions WHERE delegation_id = ANY(%(ids)s))
        """,
        {"ids": ids},
    ).fetchone()
    return bool(row and row[0])
