"""What Postgres shows of space: sizes of tables, dead rows, and the limit of temporary files."""

from typing import NamedTuple

from psycopg.rows import class_row

from projector.postgres.connection import Connection


class TableSize(NamedTuple):
    """A table with its indexes and long values. Row counts are estimates of Postgres."""

    name: str
    bytes: int
    live_rows: int
    dead_rows: int


class Space(NamedTuple):
    """`temp_file_limit` in bytes per process; None: no limit."""

    database_bytes: int
    temp_file_limit: int | None
    tables: list[TableSize]


def space(conn: Connection) -> Space:
    """The sizes of the database, of the view and of the projector's tables, the largest first."""
    with conn.cursor(row_factory=class_row(TableSize)) as cursor:
        tables = cursor.execute(
            """
            SELECT format('%I.%I', n.nspname, c.relname) AS name, pg_total_relation_size(c.oid) AS bytes,
                   coalesce(pg_stat_get_live_tuples(c.oid), 0) AS live_rows,
                   coalesce(pg_stat_get_dead_tuples(c.oid), 0) AS dead_rows
              FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind = 'r'
               AND (c.oid = to_regclass('delegations') OR n.nspname IN ('projector', 'projector_shadow'))
             ORDER BY 2 DESC, 1
            """
        ).fetchall()
    row = conn.execute(
        """
        SELECT pg_database_size(current_database()), setting::bigint FROM pg_settings WHERE name = 'temp_file_limit'
        """
    ).fetchall()[0]
    return Space(row[0], None if row[1] < 0 else row[1] * 1024, tables)
