"""Replies that are missing: ended delegations without a reply in the outbox, and sent ones that are in no inbox."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from projector.domain.clocks import CLOCKS_DIFFER_BY
from projector.postgres.connection import Connection, mapped_errors


class NeverQueued(NamedTuple):
    """A delegation that ended after the push was switched on, and has no reply in the outbox."""

    delegation_id: str
    caller_id: str
    callee_id: str
    status: str
    updated_at: datetime


class SentReply(NamedTuple):
    """A reply that was sent to an inbox."""

    delegation_id: str
    sent_at: datetime


_NEVER_QUEUED = """
    FROM push p CROSS JOIN delegations d
   WHERE p.topic = %(topic)s AND d.status IN ('completed', 'failed', 'stuck')
     AND (d.updated_at >= p.switched_on_at - %(clocks_differ_by)s
          OR EXISTS (SELECT FROM ends e WHERE e.delegation_id = d.delegation_id))
     AND d.updated_at >= coalesce(p.pruned_before + %(clocks_differ_by)s, '-infinity')
     AND NOT EXISTS (SELECT FROM outbox o WHERE o.delegation_id = d.delegation_id)
"""
"""A delegation that ended before replies were pruned counts as told."""


def count_never_queued(conn: Connection, topic: str) -> int:
    """How many delegations ended since the push of the topic was switched on, and have no reply; 0 if it is off."""
    with mapped_errors():
        [(count,)] = conn.execute(
            f"SELECT count(*) {_NEVER_QUEUED}",
            {"topic": topic, "clocks_differ_by": CLOCKS_DIFFER_BY},
        ).fetchall()
    return int(count)


def never_queued(
    conn: Connection, topic: str, *, after: str | None, only: Collection[str] | None, limit: int
) -> list[NeverQueued]:
    """The same delegations, by id. `only`: None means any."""
    with mapped_errors(), conn.cursor(row_factory=class_row(NeverQueued)) as cursor:
        return cursor.execute(
            f"""
            SELECT d.delegation_id, d.caller_id::text, d.callee_id::text, d.status, d.updated_at
            {_NEVER_QUEUED}
               AND (%(after)s::text IS NULL OR d.delegation_id > %(after)s)
               AND (%(only)s::text[] IS NULL OR d.delegation_id = ANY (%(only)s))
             ORDER BY d.delegation_id LIMIT %(limit)s
            """,
            {
                "topic": topic,
                "clocks_differ_by": CLOCKS_DIFFER_BY,
                "after": after,
                "only": None if only is None else list(only),
                "limit": limit,
            },
        ).fetchall()


def queue(conn: Connection, delegation_ids: Sequence[str]) -> int:
    """Queue replies that are due now. Returns how many were not there."""
    with mapped_errors():
        return conn.execute(
            """
            INSERT INTO outbox (delegation_id, due_at, next_attempt_at)
            SELECT delegation_id, clock_timestamp(), clock_timestamp()
              FROM unnest(%(ids)s::text[]) AS missing (delegation_id)
            ON CONFLICT DO NOTHING
            """,
            {"ids": list(delegation_ids)},
        ).rowcount


def sent(
    conn: Connection, since: datetime, *, after: str | None, only: Collection[str] | None, limit: int
) -> list[SentReply]:
    """Replies that were sent to inboxes by us since then, by delegation id. `only`: None means any."""
    with mapped_errors(), conn.cursor(row_factory=class_row(SentReply)) as cursor:
        return cursor.execute(
            """
            SELECT delegation_id, sent_at FROM outbox
             WHERE sent_to = 'inbox' AND sent_at >= %(since)s
               AND (%(after)s::text IS NULL OR delegation_id > %(after)s)
               AND (%(only)s::text[] IS NULL OR delegation_id = ANY (%(only)s))
             ORDER BY delegation_id LIMIT %(limit)s
            """,
            {"since": since, "after": after, "only": None if only is None else list(only), "limit": limit},
        ).fetchall()


def in_inbox(activity: Connection, event_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these replies that are in `activity_logs`."""
    with mapped_errors():
        rows = activity.execute("SELECT id FROM activity_logs WHERE id = ANY (%(ids)s)", {"ids": list(event_ids)})
        return {row[0] for row in rows}


def send_again(conn: Connection, delegation_ids: Sequence[str]) -> int:
    """Make replies that were sent due again. Returns how many."""
    with mapped_errors():
        return conn.execute(
            """
            UPDATE outbox
               SET ended_as = NULL, sent_at = NULL, sent_to = NULL, attempts = 0, queued_at = clock_timestamp(),
                   next_attempt_at = clock_timestamp()
             WHERE delegation_id = ANY (%(ids)s) AND sent_to = 'inbox'
            """,
            {"ids": list(delegation_ids)},
        ).rowcount
