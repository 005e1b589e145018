"""The rights that the commands need (docs/security.md), and those that the role in use lacks."""

from itertools import groupby
from typing import NamedTuple

from projector.postgres.connection import Connection

COMMANDS = ("run", "rebuild", "migrate")


class Lacking(NamedTuple):
    """What one of COMMANDS lacks, and the SQL that an administrator or the owner runs."""

    command: str
    found: str
    remedy: str


_INSERTED = ["delegation_id", "caller_id", "callee_id", "task_preview", "deadline", "retry_count", "created_at"]
_UPDATED = ["status", "last_heartbeat", "result_preview", "error_detail", "updated_at"]


def lacking(conn: Connection) -> list[Lacking]:
    """What the role in use lacks, one entry per command."""
    rows = conn.execute(
        """
        WITH view AS (
            SELECT c.oid, n.nspname, c.relowner, format('%%I.%%I', n.nspname, c.relname) AS name
              FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relname = 'delegations' AND c.relkind IN ('r', 'p')
               AND n.nspname NOT IN ('projector', 'projector_shadow') AND n.nspname !~ '^pg_'
             ORDER BY c.oid = to_regclass('delegations') DESC NULLS LAST LIMIT 1
        ), version AS (
            SELECT c.oid, format('%%I.%%I', n.nspname, c.relname) AS name
              FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relname = 'projector_schema_migrations' AND c.relkind = 'r'
             ORDER BY c.oid = to_regclass('projector_schema_migrations') DESC NULLS LAST LIMIT 1
        ), own AS (
            SELECT c.oid, c.relowner, n.nspname, format('%%I.%%I', n.nspname, c.relname) AS name
              FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind = 'r' AND n.nspname IN ('projector', 'projector_shadow')
        ), needed (command, privilege, object, granted) AS (
            SELECT 'run', 'TEMPORARY', 'DATABASE ' || quote_ident(current_database()),
                   has_database_privilege(current_database(), 'TEMPORARY')
            UNION ALL
            SELECT 'run', 'USAGE', 'SCHEMA ' || quote_ident(nspname), has_schema_privilege(nspname, 'USAGE') FROM view
            UNION ALL
            SELECT CASE nspname WHEN 'projector' THEN 'run' ELSE 'rebuild' END, 'USAGE',
                   'SCHEMA ' || nspname, has_schema_privilege(oid, 'USAGE')
              FROM pg_namespace WHERE nspname IN ('projector', 'projector_shadow')
            UNION ALL
            SELECT 'run', 'SELECT', name, has_table_privilege(oid, 'SELECT') FROM version
            UNION ALL
            SELECT 'run', 'SELECT', name, has_table_privilege(oid, 'SELECT') FROM view
            UNION ALL
            SELECT 'run', 'INSERT', view.name, bool_and(has_column_privilege(oid, attname, 'INSERT'))
              FROM view JOIN pg_attribute ON attrelid = oid AND attname = ANY (%(inserted)s) GROUP BY view.name
            UNION ALL
            SELECT 'run', 'UPDATE', view.name, bool_and(has_column_privilege(oid, attname, 'UPDATE'))
              FROM view JOIN pg_attribute ON attrelid = oid AND attname = ANY (%(updated)s) GROUP BY view.name
            UNION ALL
            SELECT 'run', privilege, name, has_table_privilege(oid, privilege)
              FROM own, unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS privilege WHERE nspname = 'projector'
            UNION ALL
            SELECT 'rebuild', 'DELETE', name, has_table_privilege(oid, 'DELETE') FROM view
            UNION ALL
            SELECT 'rebuild', privilege, name, has_table_privilege(oid, privilege)
              FROM own, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE}'::text[]) AS privilege
             WHERE nspname = 'projector_shadow'
            UNION ALL
            SELECT 'migrate', 'CREATE', 'DATABASE ' || quote_ident(current_database()),
                   has_database_privilege(current_database(), 'CREATE')
                   OR (SELECT count(*) = 2 AND bool_and(pg_has_role(nspowner, 'USAGE')) FROM pg_namespace
                        WHERE nspname IN ('projector', 'projector_shadow'))
            UNION ALL
            SELECT 'migrate', 'CREATE', 'SCHEMA ' || quote_ident(nspname), has_schema_privilege(nspname, 'CREATE')
              FROM (SELECT coalesce((SELECT nspname FROM view),
                                    (SELECT name FROM unnest(current_schemas(false)) AS name
                                      WHERE name NOT IN ('projector', 'projector_shadow') LIMIT 1)) AS nspname) AS home
             WHERE nspname IS NOT NULL
        ), per_object AS (
            SELECT command, object, string_agg(privilege, ', ' ORDER BY privilege DESC) AS privileges
              FROM needed WHERE NOT granted GROUP BY command, object
        )
        SELECT command, privileges, string_agg(object, ', ' ORDER BY object), quote_ident(current_user)
          FROM per_object GROUP BY command, privileges, object ~ '^(DATABASE|SCHEMA) ',
                                   CASE WHEN object ~ '^(DATABASE|SCHEMA) ' THEN object END
         ORDER BY array_position('{run,rebuild,migrate}', command), 2, 3
        """,
        {"inserted": [*_INSERTED, *_UPDATED, "idempotency_key"], "updated": _UPDATED},
    ).fetchall()
    found = [
        Lacking(
            command,
            "; ".join(f"{privileges} on {objects}" for _, privileges, objects, _ in group),
            "\n".join(f"GRANT {privileges} ON {objects} TO {role};" for _, privileges, objects, role in group),
        )
        for command, group in ((command, list(rows)) for command, rows in groupby(rows, key=lambda row: str(row[0])))
    ]
    is_creator = not any(each.command == "migrate" for each in found)
    return [*found, *(_not_owned(conn) if is_creator else ())]


def _not_owned(conn: Connection) -> list[Lacking]:
    """The owners of tables that the role in use is no member of: only an owner can change a table."""
    rows = conn.execute(
        """
        SELECT DISTINCT quote_ident(pg_get_userbyid(relowner)), quote_ident(current_user)
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE (nspname IN ('projector', 'projector_shadow') AND relkind = 'r'
                OR c.oid IN (to_regclass('projector_schema_migrations'), to_regclass('delegations')))
           AND NOT pg_has_role(relowner, 'USAGE')
         ORDER BY 1
        """
    ).fetchall()
    if not rows:
        return []
    owners = ", ".join(owner for owner, _ in rows)
    return [Lacking("migrate", f"ownership: the tables belong to {owners}", f"GRANT {owners} TO {rows[0][1]};")]
