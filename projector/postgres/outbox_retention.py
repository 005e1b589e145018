"""Old replies: how far back something may be read again, and the deletion of what is older."""

from datetime import datetime

from projector.postgres.connection import Connection, mapped_errors


def oldest_activity(activity: Connection) -> datetime | None:
    """When the oldest activity row about a delegation was created; None if there is none."""
    with mapped_errors():
        row = activity.execute(
            "SELECT min(created_at) FROM activity_logs WHERE activity_type IN ('delegation', 'a2a_receive')"
        ).fetchone()
    return row[0] if row else None


def note(conn: Connection, before: datetime) -> None:
    """Store that replies of before then may be deleted: an end as old as that, read again, was perhaps told."""
    with mapped_errors():
        conn.execute("UPDATE push SET pruned_before = greatest(pruned_before, %(before)s)", {"before": before})


def prune(conn: Connection, before: datetime, *, limit: int) -> int:
    """Delete up to this number of replies that were sent or discarded before then. Returns how many.

    Their ends are deleted too.
    """
    with mapped_errors():
        [(count,)] = conn.execute(
            """
            WITH old AS (
                SELECT delegation_id FROM outbox
                 WHERE ended_as IN ('sent', 'told_by_platform', 'discarded')
                   AND coalesce(sent_at, given_up_at) < %(before)s
                 LIMIT %(limit)s FOR UPDATE SKIP LOCKED
            ), without_ends AS (
                DELETE FROM ends e USING old WHERE e.delegation_id = old.delegation_id
            ), deleted AS (
                DELETE FROM outbox o USING old WHERE o.delegation_id = old.delegation_id RETURNING 1
            )
            SELECT count(*) FROM deleted
            """,
            {"before": before, "limit": limit},
        ).fetchall()
    return int(count)


def prune_ends(conn: Connection, before: datetime, *, limit: int) -> int:
    """Delete up to this number of ends of before then whose delegation has no reply. Returns how many."""
    with mapped_errors():
        return conn.execute(
            """
            DELETE FROM ends WHERE ctid = ANY (ARRAY(
                SELECT e.ctid FROM ends e
                 WHERE e.at < %(before)s
                   AND NOT EXISTS (SELECT FROM outbox o WHERE o.delegation_id = e.delegation_id)
                 LIMIT %(limit)s))
            """,
            {"before": before, "limit": limit},
        ).rowcount
