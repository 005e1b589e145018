"""What a batch writes: staged first where it locks nobody, then merged under locks. Nothing here commits.

Each merge tells when another writer got in between what was read and what is written.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import LiteralString

from events.delegation import Reported
from events.fields import recorded_at
from projector.errors import Contested
from projector.fold import DeadLetter, Parked
from projector.lifecycle import Delegation
from projector.session import Connection, reactions

# --- what a batch stages: temporary tables, which lock nothing that anybody else wants


def prepare_staging(conn: Connection) -> None:
    """Make the session's staging tables, which empty themselves at the end of each transaction.

    A batch finds its rows by their keys, however few or many the view holds: a plan that reads the whole view, which
    looks cheap while it is small, is turned down.
    """
    with reactions():
        conn.execute(
            """
            SET enable_hashjoin = off;
            SET enable_mergejoin = off;
            SET jit = off;
            CREATE TEMPORARY TABLE IF NOT EXISTS staged_inserts (
                delegation_id text, caller_id text, callee_id text, task_preview text, status text,
                last_heartbeat timestamptz, deadline timestamptz, result_preview text, error_detail text,
                retry_count int, created_at timestamptz, updated_at timestamptz, idempotency_key text
            ) ON COMMIT DELETE ROWS;
            CREATE TEMPORARY TABLE IF NOT EXISTS staged_updates (
                delegation_id text, version bigint, status text, last_heartbeat timestamptz, result_preview text,
                error_detail text, updated_at timestamptz
            ) ON COMMIT DELETE ROWS;
            CREATE TEMPORARY TABLE IF NOT EXISTS staged_parked (
                n int, topic text, partition int, "offset" bigint, delegation_id text, kind text, status text,
                at timestamptz, result_preview text, error_detail text
            ) ON COMMIT DELETE ROWS;
            CREATE TEMPORARY TABLE IF NOT EXISTS staged_dead_letters (
                topic text, partition int, "offset" bigint, record_at timestamptz, key bytea, value bytea,
                reason text, field text
            ) ON COMMIT DELETE ROWS;
            CREATE TEMPORARY TABLE IF NOT EXISTS staged_large_rows (row_id text, delegation_id text)
                ON COMMIT DELETE ROWS
            """
        )


def _copy(conn: Connection, statement: LiteralString, types: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def stage_inserts(conn: Connection, rows: Iterable[Delegation]) -> None:
    """Stage new rows of the view."""
    types = ["text"] * 5 + ["timestamptz"] * 2 + ["text"] * 2 + ["int4"] + ["timestamptz"] * 2 + ["text"]
    _copy(conn, "COPY staged_inserts FROM STDIN (FORMAT BINARY)", types, rows)


def stage_updates(conn: Connection, rows: Iterable[Delegation], versions: Mapping[str, int]) -> None:
    """Stage changed rows, each with the version that was read."""
    types = ["text", "int8", "text", "timestamptz", "text", "text", "timestamptz"]
    staged = (
        (
            row.delegation_id,
            versions[row.delegation_id],
            row.status,
            row.last_heartbeat,
            row.result_preview,
            row.error_detail,
            row.updated_at,
        )
        for row in rows
    )
    _copy(conn, "COPY staged_updates FROM STDIN (FORMAT BINARY)", types, staged)


def stage_parked(conn: Connection, parked: Iterable[Parked]) -> None:
    """Stage events that came too early, in the order of parking."""
    types = ["int4", "text", "int4", "int8", "text", "text", "text", "timestamptz", "text", "text"]
    staged = (
        (n, topic, partition, offset, event.delegation_id, "status", event.status, *event[2:])
        if isinstance(event, Reported)
        else (n, topic, partition, offset, event.delegation_id, "heartbeat", None, event.at, None, None)
        for n, (topic, partition, offset, event) in enumerate(parked)
    )
    _copy(conn, "COPY staged_parked FROM STDIN (FORMAT BINARY)", types, staged)


def stage_dead_letters(conn: Connection, letters: Iterable[DeadLetter]) -> None:
    """Stage records that could not be read, byte for byte."""
    types = ["text", "int4", "int8", "timestamptz", "bytea", "bytea", "text", "text"]
    staged = (
        (
            record.topic,
            record.partition,
            record.offset,
            recorded_at(record.timestamp),
            record.key,
            record.value,
            reason,
            field,
        )
        for record, reason, field in letters
    )
    _copy(conn, "COPY staged_dead_letters FROM STDIN (FORMAT BINARY)", types, staged)


def stage_large_rows(conn: Connection, delegations: Mapping[str, str]) -> None:
    """Stage what is remembered of large activity rows: row id → delegation id."""
    _copy(conn, "COPY staged_large_rows FROM STDIN (FORMAT BINARY)", ["text", "text"], delegations.items())


# --- what a batch writes, from here on under locks; each tells when another writer got in between


def exclude_requests(conn: Connection) -> None:
    """Wait until nobody projects a request, and keep requests out until the end of this transaction.

    Without it a request and an early result, on two partitions at once, would each not see the other (decision 0004).
    """
    conn.execute("SELECT pg_advisory_xact_lock(hashtext('delegations projector: parking'))")


def exclude_parking(conn: Connection) -> None:
    """Wait until nobody is parking, and keep parking out; others may project requests at the same time."""
    conn.execute("SELECT pg_advisory_xact_lock_shared(hashtext('delegations projector: parking'))")


def merge_inserts(conn: Connection, count: int) -> None:
    """Write the staged new rows; raises Contested where another writer made one, or took an idempotency key, first."""
    written = conn.execute(
        """
        INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, last_heartbeat, deadline,
                                 result_preview, error_detail, retry_count, created_at, updated_at, idempotency_key)
        SELECT delegation_id, caller_id::uuid, callee_id::uuid, task_preview, status, last_heartbeat, deadline,
               result_preview, error_detail, retry_count, created_at, updated_at, idempotency_key
          FROM staged_inserts ORDER BY delegation_id
        ON CONFLICT DO NOTHING
        """
    ).rowcount
    _expect(written, count, "a delegation was inserted by another writer")


def merge_updates(conn: Connection, count: int) -> None:
    """Write the staged changes, forward only; raises Contested where a row is no longer the version that was read."""
    written = conn.execute(
        """
        UPDATE delegations d
           SET status = s.status, last_heartbeat = s.last_heartbeat, result_preview = s.result_preview,
               error_detail = s.error_detail, updated_at = s.updated_at
          FROM staged_updates s
         WHERE d.delegation_id = s.delegation_id
           AND d.xmin = s.version::text::xid
           AND (d.status = s.status OR d.status IN ('queued', 'dispatched', 'in_progress'))
        """
    ).rowcount
    _expect(written, count, "a delegation was changed by another writer")


def merge_parked(conn: Connection, count: int) -> None:
    """Keep the staged early events, once each; raises Contested where their delegation is there by now."""
    seen = conn.execute(
        """
        WITH homeless AS (
            SELECT * FROM staged_parked s
             WHERE NOT EXISTS (SELECT FROM delegations d WHERE d.delegation_id = s.delegation_id)
        ), kept AS (
            INSERT INTO parked (topic, partition, "offset", delegation_id, kind, status, at, result_preview,
                                error_detail)
            SELECT topic, partition, "offset", delegation_id, kind, status, at, result_preview, error_detail
              FROM homeless ORDER BY n
            ON CONFLICT DO NOTHING
        )
        SELECT count(*) FROM homeless
        """
    ).fetchone()
    _expect(seen[0] if seen else 0, count, "a delegation was requested while its early event was being parked")


def release_parked(conn: Connection, ids: Sequence[str], count: int) -> None:
    """Forget what was parked for these delegations; raises Contested where there is more of it than was read."""
    released = conn.execute("DELETE FROM parked WHERE delegation_id = ANY(%(ids)s)", {"ids": ids}).rowcount
    _expect(released, count, "an event was parked while its delegation was being inserted")


def merge_dead_letters(conn: Connection) -> None:
    """Keep the staged dead letters, once each."""
    conn.execute(
        """
        INSERT INTO dead_letters (topic, partition, "offset", record_at, key, value, reason, field)
        SELECT topic, partition, "offset", record_at, key, value, reason, field FROM staged_dead_letters
        ON CONFLICT DO NOTHING
        """
    )


def merge_large_rows(conn: Connection) -> None:
    """Remember the staged large rows; a row id that is used again belongs to its latest delegation."""
    conn.execute(
        """
        INSERT INTO large_rows AS known (row_id, delegation_id)
        SELECT row_id::uuid, delegation_id FROM staged_large_rows ORDER BY row_id
        ON CONFLICT (row_id) DO UPDATE SET delegation_id = excluded.delegation_id
          WHERE known.delegation_id <> excluded.delegation_id
        """
    )


def _expect(found: int, expected: int, otherwise: str) -> None:
    if found != expected:
        raise Contested(f"{otherwise} ({found} of {expected} as expected)")
