"""What a batch writes to the view: all of it in one statement, the gate first. Nothing here commits.

A statement takes its first lock when the server has all of it, so whoever freezes while sending holds nobody up.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from projector.errors import Fenced
from projector.fold import Changes
from projector.lifecycle import Delegation
from projector.positions import Gate, Move
from projector.session import Connection
from projector.staging import expect

_UPDATED = ("delegation_id", "version", "status", "last_heartbeat", "result_preview", "error_detail", "updated_at")
_TIMES = frozenset({"record_at", "last_heartbeat", "deadline", "created_at", "updated_at"})


def write(
    conn: Connection,
    changes: Changes,
    versions: Mapping[str, int],
    *,
    remembered: Mapping[str, str] | None = None,
    gate: Gate | None = None,
) -> None:
    """Move the gate's positions, and write the changed rows, forward only, and what is remembered of large rows.

    `versions`: delegation id → the version of its row that was read; `remembered`: activity row id → delegation id.
    Raises Fenced where somebody else owns one of the positions by now, Contested where another writer made or changed a
    row, or took an idempotency key, in the meantime.

    A batch that parks keeps requests out until its end. One that brings requests keeps parking out, but not other
    requests. Without it a request and an early result, on two partitions at once, would each not see the other
    (decision 0004).
    """
    moves = gate.moves if gate else ()
    entry: dict[str, object] = {
        "token": gate.token if gate else None,
        "keeps_out": "requests" if changes.parked else "parking" if changes.requested else "nobody",
        **_columns("moved", Move._fields, moves),
    }
    if changes.inserted or changes.updated or remembered:
        passed, inserted, updated = _write_rows(conn, entry, changes, versions, remembered or {})
    else:
        passed, inserted, updated = _enter(conn, entry), 0, 0
    if not passed:
        raise Fenced(f"another member owns one of {', '.join(f'{each.topic}-{each.partition}' for each in moves)} now")
    expect(inserted, len(changes.inserted), "a delegation was inserted by another writer")
    expect(updated, len(changes.updated), "a delegation was changed by another writer")


def _enter(conn: Connection, entry: Mapping[str, object]) -> bool:
    """The gate alone, for a batch without rows: whoever has locked the view, or put triggers on it, is none of its."""
    row = conn.execute(
        """
        WITH moved AS (
            UPDATE positions p
               SET next_offset = m.now::bigint, moved_at = clock_timestamp(),
                   record_at = coalesce(m.record_at, p.record_at)
              FROM unnest(%(moved_topic)b::text[], %(moved_partition)b::text[], %(moved_was)b::text[],
                          %(moved_now)b::text[], %(moved_record_at)b::timestamptz[])
                   AS m (topic, partition, was, now, record_at)
             WHERE p.topic = m.topic AND p.partition = m.partition::int AND p.next_offset = m.was::bigint
               AND p.owner = %(token)s::uuid
            RETURNING 1
        )
        SELECT count(*) = cardinality(%(moved_topic)b::text[]) AS passed,
               CASE
               WHEN count(*) <> cardinality(%(moved_topic)b::text[]) THEN NULL
               WHEN %(keeps_out)s = 'requests'
               THEN pg_advisory_xact_lock(hashtext('delegations projector: parking'))
               WHEN %(keeps_out)s = 'parking'
               THEN pg_advisory_xact_lock_shared(hashtext('delegations projector: parking'))
               END
          FROM moved
        """,
        entry,
    ).fetchone()
    return bool(row and row[0])


def _write_rows(
    conn: Connection,
    entry: Mapping[str, object],
    changes: Changes,
    versions: Mapping[str, int],
    remembered: Mapping[str, str],
) -> tuple[bool, int, int]:
    """The gate, and all rows behind it: whether it was passed, and how many rows were inserted and updated."""
    updates = [
        (
            row.delegation_id,
            versions[row.delegation_id],
            row.status,
            row.last_heartbeat,
            row.result_preview,
            row.error_detail,
            row.updated_at,
        )
        for row in changes.updated
    ]
    row = conn.execute(
        """
        WITH moved AS (
            UPDATE positions p
               SET next_offset = m.now::bigint, moved_at = clock_timestamp(),
                   record_at = coalesce(m.record_at, p.record_at)
              FROM unnest(%(moved_topic)b::text[], %(moved_partition)b::text[], %(moved_was)b::text[],
                          %(moved_now)b::text[], %(moved_record_at)b::timestamptz[])
                   AS m (topic, partition, was, now, record_at)
             WHERE p.topic = m.topic AND p.partition = m.partition::int AND p.next_offset = m.was::bigint
               AND p.owner = %(token)s::uuid
            RETURNING 1
        ), ready AS MATERIALIZED (
            SELECT count(*) = cardinality(%(moved_topic)b::text[]) AS passed,
                   CASE
                   WHEN count(*) <> cardinality(%(moved_topic)b::text[]) THEN NULL
                   WHEN %(keeps_out)s = 'requests'
                   THEN pg_advisory_xact_lock(hashtext('delegations projector: parking'))
                   WHEN %(keeps_out)s = 'parking'
                   THEN pg_advisory_xact_lock_shared(hashtext('delegations projector: parking'))
                   END
              FROM moved
        ), inserted AS (
            INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, last_heartbeat,
                                     deadline, result_preview, error_detail, retry_count, created_at, updated_at,
                                     idempotency_key)
            SELECT r.delegation_id, r.caller_id::uuid, r.callee_id::uuid, r.task_preview, r.status,
                   r.last_heartbeat, r.deadline, nullif(r.result_preview, ''),
                   nullif(r.error_detail, ''), r.retry_count::int, r.created_at,
                   r.updated_at, nullif(r.idempotency_key, '')
              FROM ready,
                   unnest(%(inserted_delegation_id)b::text[], %(inserted_caller_id)b::text[],
                          %(inserted_callee_id)b::text[], %(inserted_task_preview)b::text[],
                          %(inserted_status)b::text[], %(inserted_last_heartbeat)b::timestamptz[],
                          %(inserted_deadline)b::timestamptz[], %(inserted_result_preview)b::text[],
                          %(inserted_error_detail)b::text[], %(inserted_retry_count)b::text[],
                          %(inserted_created_at)b::timestamptz[], %(inserted_updated_at)b::timestamptz[],
                          %(inserted_idempotency_key)b::text[])
                   AS r (delegation_id, caller_id, callee_id, task_preview, status, last_heartbeat, deadline,
                         result_preview, error_detail, retry_count, created_at, updated_at, idempotency_key)
             WHERE ready.passed ORDER BY r.delegation_id
            ON CONFLICT DO NOTHING
            RETURNING 1
        ), updated AS (
            UPDATE delegations d
               SET status = r.status, last_heartbeat = r.last_heartbeat,
                   result_preview = nullif(r.result_preview, ''), error_detail = nullif(r.error_detail, ''),
                   updated_at = r.updated_at
              FROM ready,
                   unnest(%(updated_delegation_id)b::text[], %(updated_version)b::text[], %(updated_status)b::text[],
                          %(updated_last_heartbeat)b::timestamptz[], %(updated_result_preview)b::text[],
                          %(updated_error_detail)b::text[], %(updated_updated_at)b::timestamptz[])
                   AS r (delegation_id, version, status, last_heartbeat, result_preview, error_detail, updated_at)
             WHERE ready.passed AND d.delegation_id = r.delegation_id AND d.xmin = r.version::xid
               AND (d.status = r.status OR d.status IN ('queued', 'dispatched', 'in_progress'))
            RETURNING 1
        ), remembered AS (
            INSERT INTO large_rows AS known (row_id, delegation_id)
            SELECT r.row_id::uuid, r.delegation_id
              FROM ready, unnest(%(remembered_row_id)b::text[], %(remembered_delegation_id)b::text[])
                          AS r (row_id, delegation_id)
             WHERE ready.passed ORDER BY r.row_id
            ON CONFLICT (row_id) DO UPDATE SET delegation_id = excluded.delegation_id
              WHERE known.delegation_id <> excluded.delegation_id
        )
        SELECT passed, (SELECT count(*) FROM inserted), (SELECT count(*) FROM updated) FROM ready
        """,
        {
            **entry,
            **_columns("inserted", Delegation._fields, changes.inserted),
            **_columns("updated", _UPDATED, updates),
            **_columns("remembered", ("row_id", "delegation_id"), remembered.items()),
        },
    ).fetchone()
    return row or (False, 0, 0)


def _columns(part: str, names: Sequence[str], rows: Collection[Iterable[object]]) -> dict[str, list[object]]:
    """A list for each column: times as they are, all else as texts, "" for none.

    A list of nothing but none has another type, and makes another statement to plan: only times may be one.
    """
    columns: Iterable[Iterable[object]] = zip(*rows, strict=True) if rows else [()] * len(names)
    return {
        f"{part}_{name}": list(column) if name in _TIMES else ["" if value is None else str(value) for value in column]
        for name, column in zip(names, columns, strict=True)
    }
