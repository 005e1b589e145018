"""Repair: write the drift from the shadow into the view, within the caller's transaction on the view.

The candidates that are left after the comparison are the delegations to write. docs/decisions/0006 has the order.
"""

from collections.abc import Sequence
from typing import NamedTuple

from projector.errors import ProjectorError
from projector.postgres.connection import Connection
from projector.rebuild import shadow

_DELETIONS = 10
_SHARE_DELETED = 0.1
"""A repair that would delete more rows than both of these needs a confirmation."""


class Applied(NamedTuple):
    """How many rows of the view were written."""

    inserted: int
    updated: int
    deleted: int


class TooManyDeletions(ProjectorError):
    """A repair would delete a large part of the view: ask for a confirmation."""


def require_few_deletions(conn: Connection, deleted: int, source: str) -> None:
    """Raise TooManyDeletions where a large part of the view would be deleted, as with a wrong or recreated topic."""
    if deleted <= _DELETIONS:
        return
    rows = shadow.count_view_rows(conn)
    if deleted > rows * _SHARE_DELETED:
        raise TooManyDeletions(
            f"{deleted:,} of {rows:,} rows would be deleted, because {source} does not have them; nothing was written. "
            "Check PROJECTOR_TOPIC and the output of `projector verify`; to delete the rows, add --yes"
        )


def lock_candidates(conn: Connection) -> None:
    """Lock the candidates' rows of the view against other writers, until the end of this transaction."""
    conn.execute(
        """
        SELECT FROM delegations d JOIN projector_shadow.suspects c USING (delegation_id)
         ORDER BY delegation_id FOR UPDATE OF d
        """
    )


def add_missing_positions(conn: Connection, topic: str) -> None:
    """Copy the shadow's positions for the partitions that have none."""
    conn.execute(
        """
        INSERT INTO positions (topic, partition, next_offset, topic_id)
        SELECT topic, partition, next_offset, topic_id FROM projector_shadow.positions WHERE topic = %(topic)s
        ON CONFLICT DO NOTHING
        """,
        {"topic": topic},
    )


def delete_positions(conn: Connection, topic: str, partitions: Sequence[int], topic_id: str) -> None:
    """Delete the positions of an earlier topic of this name, in partitions that the present topic does not have."""
    conn.execute(
        """
        DELETE FROM positions
         WHERE topic = %(topic)s AND partition <> ALL(%(partitions)s) AND topic_id <> %(topic_id)s
        """,
        {"topic": topic, "partitions": partitions, "topic_id": topic_id},
    )


def write_rows(conn: Connection, *, steps: bool) -> Applied:
    """Make the candidates' rows, and no others, equal to the shadow's.

    Without `steps`, a row keeps its own times of changes where they are later.
    """
    deleted = _delete(conn)
    _clear_keys(conn)
    updated = _update(conn, steps=steps)
    return Applied(_insert(conn), updated, deleted)


def _delete(conn: Connection) -> int:
    return conn.execute(
        """
        DELETE FROM delegations d USING projector_shadow.suspects c
         WHERE c.delegation_id = d.delegation_id
           AND NOT EXISTS (SELECT FROM projector_shadow.delegations s WHERE s.delegation_id = d.delegation_id)
        """
    ).rowcount


def _clear_keys(conn: Connection) -> None:
    """Clear the idempotency keys that change: keys are unique, and two rows may have to exchange theirs."""
    conn.execute(
        """
        UPDATE delegations d SET idempotency_key = NULL
          FROM projector_shadow.suspects c JOIN projector_shadow.delegations s USING (delegation_id)
         WHERE d.delegation_id = s.delegation_id AND d.idempotency_key IS NOT NULL
           AND (d.caller_id, d.idempotency_key) IS DISTINCT FROM (s.caller_id, s.idempotency_key)
        """
    )


def _update(conn: Connection, *, steps: bool) -> int:
    return conn.execute(
        """
        UPDATE delegations d
           SET caller_id = s.caller_id, callee_id = s.callee_id, task_preview = s.task_preview, status = s.status,
               last_heartbeat = CASE WHEN %(steps)s THEN s.last_heartbeat
                                     ELSE greatest(d.last_heartbeat, s.last_heartbeat) END,
               deadline = s.deadline, result_preview = s.result_preview, error_detail = s.error_detail,
               retry_count = s.retry_count, created_at = s.created_at,
               updated_at = CASE WHEN %(steps)s THEN s.updated_at ELSE greatest(d.updated_at, s.updated_at) END,
               idempotency_key = s.idempotency_key
          FROM projector_shadow.suspects c JOIN projector_shadow.delegations s USING (delegation_id)
         WHERE d.delegation_id = s.delegation_id
        """,
        {"steps": steps},
    ).rowcount


def _insert(conn: Connection) -> int:
    return conn.execute(
        """
        INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, last_heartbeat, deadline,
                                 result_preview, error_detail, retry_count, created_at, updated_at, idempotency_key)
        SELECT delegation_id, caller_id, callee_id, task_preview, status, last_heartbeat, deadline, result_preview,
               error_detail, retry_count, created_at, updated_at, idempotency_key
          FROM projector_shadow.delegations s JOIN projector_shadow.suspects c USING (delegation_id)
         WHERE NOT EXISTS (SELECT FROM delegations d WHERE d.delegation_id = s.delegation_id)
        ON CONFLICT DO NOTHING
        """
    ).rowcount


def replace_parked(conn: Connection) -> None:
    """Replace the candidates' parked events by those of the shadow."""
    conn.execute("DELETE FROM parked p USING projector_shadow.suspects c WHERE c.delegation_id = p.delegation_id")
    conn.execute(
        """
        INSERT INTO parked (topic, partition, "offset", delegation_id, kind, status, at, result_preview, error_detail)
        SELECT s.topic, s.partition, s."offset", s.delegation_id, s.kind, s.status, s.at, s.result_preview,
               s.error_detail
          FROM projector_shadow.parked s JOIN projector_shadow.suspects c USING (delegation_id) ORDER BY s.seq
        """
    )


def delete_applied_parked(conn: Connection) -> None:
    """Delete the parked events of candidates that have a row in the view now: `apply_parked` applied them."""
    conn.execute(
        """
        DELETE FROM parked p USING projector_shadow.suspects c, delegations d
         WHERE c.delegation_id = p.delegation_id AND d.delegation_id = p.delegation_id
        """
    )


def copy_large_rows(conn: Connection) -> None:
    """Add the large rows of the shadow to those of the view."""
    conn.execute("INSERT INTO large_rows SELECT * FROM projector_shadow.large_rows ON CONFLICT DO NOTHING")
