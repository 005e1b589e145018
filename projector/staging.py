"""What a batch writes beside rows: early events and dead letters, staged where it locks nobody, merged after the gate.

Nothing here commits. Each merge tells when another writer got in between what was read and what is written.
"""

from collections.abc import Iterable, Sequence
from typing import LiteralString

from events.delegation import Reported
from events.fields import recorded_at
from projector.errors import Contested
from projector.fold import DeadLetter, Parked
from projector.session import Connection, reactions

# --- what a batch stages: temporary tables, which lock nothing that anybody else wants


def prepare_staging(conn: Connection) -> None:
    """Make the session's staging tables, which empty themselves at the end of each transaction.

    A batch finds its rows by their keys, however few or many the view holds: a plan that reads the whole view, which
    looks cheap while it is small, is turned down: it would be kept while the view grows.
    """
    with reactions():
        conn.execute(
            """
            SET enable_seqscan = off;
            SET enable_hashjoin = off;
            SET enable_mergejoin = off;
            SET jit = off;
            CREATE TEMPORARY TABLE IF NOT EXISTS staged_parked (
                n int, topic text, partition int, "offset" bigint, delegation_id text, kind text, status text,
                at timestamptz, result_preview text, error_detail text
            ) ON COMMIT DELETE ROWS;
            CREATE TEMPORARY TABLE IF NOT EXISTS staged_dead_letters (
                topic text, partition int, "offset" bigint, record_at timestamptz, key bytea, value bytea,
                reason text, field text
            ) ON COMMIT DELETE ROWS
            """
        )


def _copy(conn: Connection, statement: LiteralString, types: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


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


# --- what a batch writes, from here on under locks; each tells when another writer got in between


def exclude_requests(conn: Connection) -> None:
    """Wait until nobody projects a request, and keep requests out until the end of this transaction.

    Without it a request and an early result, on two partitions at once, would each not see the other (decision 0004).
    """
    conn.execute("SELECT pg_advisory_xact_lock(hashtext('delegations projector: parking'))")


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
    expect(seen[0] if seen else 0, count, "a delegation was requested while its early event was being parked")


def release_parked(conn: Connection, ids: Sequence[str], count: int) -> None:
    """Forget what was parked for these delegations; raises Contested where there is more of it than was read."""
    released = conn.execute("DELETE FROM parked WHERE delegation_id = ANY(%(ids)b)", {"ids": ids}).rowcount
    expect(released, count, "an event was parked while its delegation was being inserted")


def merge_dead_letters(conn: Connection) -> None:
    """Keep the staged dead letters, once each."""
    conn.execute(
        """
        INSERT INTO dead_letters (topic, partition, "offset", record_at, key, value, reason, field)
        SELECT topic, partition, "offset", record_at, key, value, reason, field FROM staged_dead_letters
        ON CONFLICT DO NOTHING
        """
    )


def expect(found: int, expected: int, otherwise: str) -> None:
    """Raises Contested, with what happened, where another writer got in between."""
    if found != expected:
        raise Contested(f"{otherwise} ({found} of {expected} as expected)")
