"""What the sweeper needs in the platform's database: the table, rights, and indexes that its statements can use."""

import re
from datetime import datetime, timedelta

import psycopg

from projector.domain.overdue import Verdict
from projector.errors import Misconfigured, ProjectorError
from projector.postgres import sweep_truth
from projector.postgres.connection import Connection, transaction

_INSERTED = ["id", "workspace_id", "activity_type", "source_id", "target_id", "method", "status", "request_body"]
_INSERTED += ["error_detail", "created_at"]


def require_access(conn: Connection, *, writes: bool) -> None:
    """Raise Misconfigured if there is no table `activity_logs`, and ProjectorError if the role lacks a right on it."""
    with transaction(conn):
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
        raise Misconfigured(
            "the database has no table activity_logs: set PROJECTOR_ACTIVITY_DATABASE_URL to the platform's database, "
            "and check its search_path; without such a table, set PROJECTOR_SWEEP_SINK=topic"
        )
    table, role, may_select, may_insert = found
    lacking = [*([] if may_select else ["SELECT"]), *([] if may_insert or not writes else ["INSERT"])]
    if lacking:
        rights = ", ".join(lacking)
        raise ProjectorError(f"the role {role} lacks {rights} on {table}: GRANT {rights} ON {table} TO {role};")


def missing_indexes(conn: Connection, probe: Verdict, *, now: datetime, threshold: timedelta) -> list[str]:
    """The columns of each index without which a statement of the sweeper reads the whole table, as EXPLAIN shows.

    `probe`: any verdict. A small table is read as a whole in any case, so the planner may not use that here.
    """
    with transaction(conn):
        conn.execute("SELECT set_config('enable_seqscan', 'off', true)")
        check = _plan(conn, sweep_truth.statements(conn).check, sweep_truth.parameters([probe]))
        signs = _plan(conn, sweep_truth.SIGNS, {"now": now, "threshold": threshold})
    return [
        *([] if re.search(r"Index Cond: .*workspace_id", check) else ["workspace_id, activity_type, created_at DESC"]),
        *([] if re.search(r"Index Cond: .*created_at", signs) else ["created_at"]),
    ]


def _plan(conn: Connection, statement: str, parameters: dict[str, object]) -> str:
    rows = psycopg.ClientCursor(conn).execute(f"EXPLAIN {statement}".encode(), parameters)
    return "\n".join(line for (line,) in rows)
