"""Repair: write the drift from the shadow into the view, within the caller's transaction on the view.

The candidates that are left after the comparison are the delegations to write. docs/decisions/0006 has the order.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from projector.postgres.connection import Connection


class Applied(NamedTuple):
    """What was written: rows of the view, delegations with other parked events, and repeated requests.

    What was deleted, `kept` rows and events, is in `projector.deleted` under `run_id`.
    """

    inserted: int
    updated: int
    deleted: int
    parked: int
    remembered: int
    kept: int
    run_id: UUID


class Deletion(NamedTuple):
    """What is stored with everything that is deleted: the run, and the source that does not have it."""

    run_id: UUID
    source: str


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


def write_rows(conn: Connection, deletion: Deletion, *, steps: bool) -> tuple[int, int, int]:
    """Make the candidates' rows, and no others, equal to the shadow's; return how many were inserted, updated, deleted.

    Without `steps`, a row keeps its own times of changes where they are later.
    """
    deleted = _delete(conn, deletion)
    _clear_keys(conn)
    updated = _update(conn, steps=steps)
    return _insert(conn), updated, deleted


def _delete(conn: Connection, deletion: Deletion) -> int:
    return conn.execute(
        """
        WITH gone AS (
            DELETE FROM delegations d USING projector_shadow.suspects c
             WHERE c.delegation_id = d.delegation_id
               AND NOT EXISTS (SELECT FROM projector_shadow.delegations s WHERE s.delegation_id = d.delegation_id)
            RETURNING d.delegation_id, to_jsonb(d) AS content
        )
        INSERT INTO deleted (run_id, source, kind, delegation_id, content)
        SELECT %(run_id)s, %(source)s, 'row', delegation_id, content FROM gone
        """,
        deletion._asdict(),
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


def not_inserted(conn: Connection) -> tuple[int, int]:
    """How many candidates of the shadow have no row in the view yet, and of how many another row has the key.

    Where no other row has the key, a trigger of the table did not let the row in.
    """
    row = conn.execute(
        """
        SELECT count(*), count(r.delegation_id)
          FROM projector_shadow.suspects c JOIN projector_shadow.delegations s USING (delegation_id)
          LEFT JOIN delegations r ON (r.caller_id, r.idempotency_key) = (s.caller_id, s.idempotency_key)
         WHERE NOT EXISTS (SELECT FROM delegations d WHERE d.delegation_id = s.delegation_id)
        """
    ).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def replace_parked(conn: Connection, deletion: Deletion) -> int:
    """Replace the candidates' parked events by those of the shadow.

    Events with nothing in their place are kept in `projector.deleted`; returns how many.
    """
    kept = conn.execute(
        """
        INSERT INTO deleted (run_id, source, kind, delegation_id, content)
        SELECT %(run_id)s, %(source)s, 'parked event', p.delegation_id, to_jsonb(p)
          FROM parked p JOIN projector_shadow.suspects c USING (delegation_id)
         WHERE NOT EXISTS (SELECT FROM projector_shadow.delegations s WHERE s.delegation_id = p.delegation_id)
           AND NOT EXISTS (SELECT FROM projector_shadow.parked s
                            WHERE (s.topic, s.partition, s."offset", s.delegation_id)
                                = (p.topic, p.partition, p."offset", p.delegation_id))
         ORDER BY p.seq
        """,
        deletion._asdict(),
    ).rowcount
    _allow_verdicts(conn)
    conn.execute("DELETE FROM parked p USING projector_shadow.suspects c WHERE c.delegation_id = p.delegation_id")
    conn.execute(
        """
        INSERT INTO parked (topic, partition, "offset", delegation_id, kind, status, at, silent_since, result_preview,
                            error_detail)
        SELECT s.topic, s.partition, s."offset", s.delegation_id, s.kind, s.status, s.at, s.silent_since,
               s.result_preview, s.error_detail
          FROM projector_shadow.parked s JOIN projector_shadow.suspects c USING (delegation_id) ORDER BY s.seq
        """
    )
    return kept


def delete_applied_parked(conn: Connection) -> None:
    """Delete the parked events of candidates that have a row in the view now: `apply_parked` applied them."""
    _allow_verdicts(conn)
    conn.execute(
        """
        DELETE FROM parked p USING projector_shadow.suspects c, delegations d
         WHERE c.delegation_id = p.delegation_id AND d.delegation_id = p.delegation_id
        """
    )


def _allow_verdicts(conn: Connection) -> None:
    """Allow this transaction to delete parked verdicts (migration 052)."""
    conn.execute("SELECT set_config('projector.reads_verdicts', 'on', true)")


def copy_large_rows(conn: Connection) -> None:
    """Add the large rows of the shadow to those of the view."""
    conn.execute("INSERT INTO large_rows SELECT * FROM projector_shadow.large_rows ON CONFLICT DO NOTHING")
