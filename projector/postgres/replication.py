"""How the change feed gets the rows of `activity_logs`: replica identity, publications and slots."""

from typing import NamedTuple

from psycopg.rows import class_row

from projector.postgres.connection import Connection

READ_COLUMNS = (
    *("id", "workspace_id", "activity_type", "source_id", "target_id", "method", "request_body", "response_body"),
    *("status", "error_detail", "idempotency_key", "created_at"),
)
"""The columns that the event contract reads."""


class ActivityTable(NamedTuple):
    """The table as Postgres sees it. The name is quoted. `identity` is `relreplident`: d, n, f or i."""

    name: str
    identity: str
    has_primary_key: bool
    readable: bool
    hides_rows: bool
    wal_level: str


class Publication(NamedTuple):
    """A publication that has the table. `left_out` are the columns that it does not have, of those that are read.

    `wanted` is its `publish` together with insert and update.
    """

    name: str
    quoted_name: str
    inserts: bool
    updates: bool
    left_out: list[str]
    wanted: str
    row_filter: str | None


class Slot(NamedTuple):
    """A logical replication slot of this database. `retained` are the bytes of WAL that it keeps, None if unknown."""

    name: str
    literal_name: str
    active: bool
    wal_status: str | None
    retained: int | None


def activity_table(conn: Connection) -> ActivityTable | None:
    """The table `activity_logs` on the search path, or None."""
    with conn.cursor(row_factory=class_row(ActivityTable)) as cursor:
        return cursor.execute(
            """
            SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relreplident::text AS identity,
                   EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary) AS has_primary_key,
                   has_table_privilege(c.oid, 'SELECT') AS readable, row_security_active(c.oid) AS hides_rows,
                   current_setting('wal_level') AS wal_level
              FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass('activity_logs')
            """
        ).fetchone()


def publications(conn: Connection) -> list[Publication]:
    """The publications that have `activity_logs`. Lists of columns and row filters exist from Postgres 15 on."""
    with conn.cursor(row_factory=class_row(Publication)) as cursor:
        return cursor.execute(
            """
            SELECT DISTINCT ON (p.pubname) p.pubname::text AS name, quote_ident(p.pubname) AS quoted_name,
                   p.pubinsert AS inserts, p.pubupdate AS updates,
                   ARRAY(SELECT wanted FROM unnest(%(columns)s::text[]) AS wanted
                          WHERE to_jsonb(t) ? 'attnames' AND NOT to_jsonb(t) -> 'attnames' ? wanted
                            AND EXISTS (SELECT FROM pg_attribute
                                         WHERE attrelid = c.oid AND attname = wanted AND NOT attisdropped)
                          ORDER BY 1) AS left_out,
                   concat_ws(', ', 'insert', 'update', CASE WHEN p.pubdelete THEN 'delete' END,
                             CASE WHEN p.pubtruncate THEN 'truncate' END) AS wanted,
                   to_jsonb(t) ->> 'rowfilter' AS row_filter
              FROM pg_publication p
              JOIN pg_publication_tables t ON t.pubname = p.pubname
              JOIN pg_namespace n ON n.nspname = t.schemaname
              JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
             WHERE c.oid = to_regclass('activity_logs')
                OR c.oid IN (SELECT relid FROM pg_partition_tree(to_regclass('activity_logs')))
             ORDER BY p.pubname
            """,
            {"columns": list(READ_COLUMNS)},
        ).fetchall()


def slots(conn: Connection) -> list[Slot]:
    """The logical slots of this database."""
    with conn.cursor(row_factory=class_row(Slot)) as cursor:
        return cursor.execute(
            """
            SELECT slot_name::text AS name, quote_literal(slot_name) AS literal_name, active,
                   to_jsonb(s) ->> 'wal_status' AS wal_status,
                   CASE WHEN pg_is_in_recovery() THEN NULL
                        ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint END AS retained
              FROM pg_replication_slots s WHERE slot_type = 'logical' AND database = current_database() ORDER BY 1
            """
        ).fetchall()
