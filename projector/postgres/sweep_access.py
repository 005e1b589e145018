"""What the sweeper needs in the platform's database: the table, rights, and indexes for its statements."""

from datetime import datetime
from typing import NamedTuple

from projector.errors import Misconfigured, ProjectorError
from projector.postgres.connection import Connection, transaction

BY_WORKSPACE, BY_TIME = ("workspace_id", "activity_type", "created_at"), ("created_at",)
_INSERTED = ["id", "workspace_id", "activity_type", "source_id", "target_id", "method", "status", "request_body"]
_INSERTED += ["error_detail", "created_at"]


class Access(NamedTuple):
    """The table and the role, as SQL names them, and the rights that the role lacks."""

    table: str
    role: str
    lacking: list[str]

    @property
    def grant(self) -> str:
        """The SQL that gives the role what it lacks."""
        return f"GRANT {', '.join(self.lacking)} ON {self.table} TO {self.role};"

    def __str__(self) -> str:
        return f"the role {self.role} lacks {', '.join(self.lacking)} on {self.table}"


def access(conn: Connection, *, writes: bool) -> Access | None:
    """What the role in use may do with `activity_logs`; None if there is no such table."""
    found = conn.execute(
        """
        SELECT format('%%I.%%I', nspname, relname), quote_ident(current_user),
               has_table_privilege(c.oid, 'SELECT'),
               (SELECT bool_and(has_column_privilege(c.oid, attname, 'INSERT')) FROM pg_attribute
                 WHERE attrelid = c.oid AND attname = ANY (%(inserted)s))
          FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = to_regclass('activity_logs')
        """,
        {"inserted": _INSERTED},
    ).fetchone()
    if found is None:
        return None
    table, role, may_select, may_insert = found
    return Access(table, role, [*([] if may_select else ["SELECT"]), *([] if may_insert or not writes else ["INSERT"])])


def require_access(conn: Connection, *, writes: bool) -> None:
    """Raise Misconfigured if there is no table `activity_logs`, and ProjectorError if the role lacks a right on it."""
    with transaction(conn):
        found = access(conn, writes=writes)
    if found is None:
        raise Misconfigured(
            "the database has no table activity_logs: set PROJECTOR_ACTIVITY_DATABASE_URL to the platform's database, "
            "and check its search_path; without such a table, set PROJECTOR_SWEEP_SINK=topic"
        )
    if found.lacking:
        raise ProjectorError(f"{found}: {found.grant}")


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
