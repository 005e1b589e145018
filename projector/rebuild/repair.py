"""The swap: what of the view differs from the shadow is written, in one transaction of a session on the view.

The suspects that are left by then are the delegations to write; decision 0006 has the order.
"""

from collections.abc import Sequence
from typing import NamedTuple

from projector.postgres.connection import Connection


class Applied(NamedTuple):
    """How many rows of the view were written."""

    inserted: int
    updated: int
    deleted: int


def lock_candidates(conn: Connection) -> None:
    """Keep other writers from the rows that are going to be looked at, until the end of this transaction."""
    conn.execute(
        """
        SELECT FROM delegations d JOIN projector_shadow.suspects f USING (delegation_id)
         ORDER BY delegation_id FOR UPDATE OF d
        """
    )


def fill_positions(conn: Connection, topic: str) -> None:
    """Give partitions that have no position the shadow's, which becomes the view's."""
    conn.execute(
        """
        INSERT INTO positions (topic, partition, next_offset, topic_id)
        SELECT topic, partition, next_offset, topic_id FROM projector_shadow.positions WHERE topic = %(topic)s
        ON CONFLICT DO NOTHING
        """,
        {"topic": topic},
    )


def forget_positions(conn: Connection, topic: str, partitions: Sequence[int], topic_id: str) -> None:
    """Forget the positions of an earlier topic of this name in partitions that this one does not have."""
    conn.execute(
        """
        DELETE FROM positions
         WHERE topic = %(topic)s AND partition <> ALL(%(partitions)s) AND topic_id <> %(topic_id)s
        """,
        {"topic": topic, "partitions": partitions, "topic_id": topic_id},
    )


def apply(conn: Connection, *, steps: bool) -> Applied:
    """Write the rows that are still suspected as the shadow has them, with what is parked for them, and no others.

    Without `steps`, the times of changes that a row has stay, where they are later.
    """
    deleted = conn.execute(
        """
        DELETE FROM delegations d USING projector_shadow.suspects f
         WHERE f.delegation_id = d.delegation_id
           AND NOT EXISTS (SELECT FROM projector_shadow.delegations s WHERE s.delegation_id = d.delegation_id)
        """
    ).rowcount
    conn.execute(  # first, since two rows may have to change their keys for one another's
        """
        UPDATE delegations d SET idempotency_key = NULL
          FROM projector_shadow.suspects f JOIN projector_shadow.delegations s USING (delegation_id)
         WHERE d.delegation_id = s.delegation_id AND d.idempotency_key IS NOT NULL
           AND (d.caller_id, d.idempotency_key) IS DISTINCT FROM (s.caller_id, s.idempotency_key)
        """
    )
    updated = conn.execute(
        """
        UPDATE delegations d
           SET caller_id = s.caller_id, callee_id = s.callee_id, task_preview = s.task_preview, status = s.status,
               last_heartbeat = CASE WHEN %(steps)s THEN s.last_heartbeat
                                     ELSE greatest(d.last_heartbeat, s.last_heartbeat) END,
               deadline = s.deadline, result_preview = s.result_preview, error_detail = s.error_detail,
               retry_count = s.retry_count, created_at = s.created_at,
               updated_at = CASE WHEN %(steps)s THEN s.updated_at ELSE greatest(d.updated_at, s.updated_at) END,
               idempotency_key = s.idempotency_key
          FROM projector_shadow.suspects f JOIN projector_shadow.delegations s USING (delegation_id)
         WHERE d.delegation_id = s.delegation_id
        """,
        {"steps": steps},
    ).rowcount
    inserted = conn.execute(
        """
        INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, last_heartbeat, deadline,
                                 result_preview, error_detail, retry_count, created_at, updated_at, idempotency_key)
        SELECT delegation_id, caller_id, callee_id, task_preview, status, last_heartbeat, deadline, result_preview,
               error_detail, retry_count, created_at, updated_at, idempotency_key
          FROM projector_shadow.delegations s JOIN projector_shadow.suspects f USING (delegation_id)
         WHERE NOT EXISTS (SELECT FROM delegations d WHERE d.delegation_id = s.delegation_id)
        ON CONFLICT DO NOTHING
        """
    ).rowcount
    return Applied(inserted, updated, deleted)


def apply_parked(conn: Connection) -> None:
    """Park for the rows that are still suspected what the shadow has parked for them."""
    conn.execute("DELETE FROM parked p USING projector_shadow.suspects f WHERE f.delegation_id = p.delegation_id")
    conn.execute(
        """
        INSERT INTO parked (topic, partition, "offset", delegation_id, kind, status, at, result_preview, error_detail)
        SELECT s.topic, s.partition, s."offset", s.delegation_id, s.kind, s.status, s.at, s.result_preview,
               s.error_detail
          FROM projector_shadow.parked s JOIN projector_shadow.suspects f USING (delegation_id) ORDER BY s.seq
        """
    )


def forget_parked(conn: Connection) -> None:
    """Forget what is parked for suspected rows that are in the view by now: the source knew of it."""
    conn.execute(
        """
        DELETE FROM parked p USING projector_shadow.suspects f, delegations d
         WHERE f.delegation_id = p.delegation_id AND d.delegation_id = p.delegation_id
        """
    )


def remember_large_rows(conn: Connection) -> None:
    """Remember the large rows that the shadow met and the view's projector does not know."""
    conn.execute("INSERT INTO large_rows SELECT * FROM projector_shadow.large_rows ON CONFLICT DO NOTHING")
