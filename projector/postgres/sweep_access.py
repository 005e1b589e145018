"""What the sweeper needs in the platform's database: the table, rights, and indexes for its statements."""

from datetime import datetime

from projector.errors import Misconfigured, ProjectorError
from projector.postgres import activity_table
from projector.postgres.connection import Connection, transaction

BY_WORKSPACE, BY_TIME = ("workspace_id", "activity_type", "created_at"), ("created_at",)


def require_access(conn: Connection, *, writes: bool) -> None:
    """Check the table `activity_logs`. Raises ProjectorError if the role lacks a right on it.

    Raises Misconfigured if there is no such table, if rows of it may be hidden from the session, or if nothing keeps
    a verdict from being written twice.
    """
    found = activity_table.find(conn)
    if found is None:
        raise Misconfigured(
            "the database has no table activity_logs: set PROJECTOR_ACTIVITY_DATABASE_URL to the platform's database, "
            "and check its search_path; without such a table, set PROJECTOR_SWEEP_SINK=topic"
        )
    if lacks := found.lacks(writes=writes):
        raise ProjectorError(f"{lacks}: {lacks.grant}")
    found.require_all_rows()  # a callee whose rows are hidden would look silent
    if writes:
        found.require_unique_id()


def missing_indexes(conn: Connection) -> list[tuple[str, ...]]:
    """The first columns of each index that is missing: BY_WORKSPACE, BY_TIME, or none."""
    with transaction(conn):
        rows = conn.execute(
            """
            SELECT (SELECT array_agg(attname::text ORDER BY place)
                      FROM unnest(indkey::int2[]) WITH ORDINALITY AS key (number, place)
                      LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = number)
              FROM pg_index JOIN pg_class c ON c.oid = indexrelid JOIN pg_am m ON m.oid = c.relam
             WHERE indrelid = to_regclass('activity_logs') AND indisvalid AND indpred IS NULL AND amname = 'btree'
            """
        ).fetchall()
    return [
        needed
        for needed in (BY_WORKSPACE, BY_TIME)
        if not any(tuple(columns[: len(needed)]) == needed for (columns,) in rows)
    ]


def oldest_row(conn: Connection) -> datetime | None:
    """The time of the oldest row. Without an index on `created_at` this reads the whole table."""
    with transaction(conn):
        row = conn.execute("SELECT created_at FROM activity_logs ORDER BY created_at LIMIT 1").fetchone()
    return row[0] if row else None
