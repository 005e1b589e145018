"""What a session sets, and what it checks: no statement depends on a default of the server, database, role or shell.

Every setting is set by a statement, since PgBouncer refuses libpq's `options`. The client encoding alone is also a
parameter of the connection, because psycopg encodes and decodes by it from the first statement on.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from psycopg import Connection, Error

from projector.errors import Misconfigured
from projector.postgres import times


class Setting(NamedTuple):
    """A value, and what depends on it."""

    value: str
    reason: str


SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {
        # What parameters, literals and results mean. Copies of deleted rows have columns of the platform as texts.
        "client_encoding": Setting("UTF8", "psycopg encodes parameters and decodes results by it"),
        "standard_conforming_strings": Setting("on", "the migrations have literals with a backslash"),
        "array_nulls": Setting("on", "lists are sent as arrays, and a null in them must not become the text `NULL`"),
        "DateStyle": Setting("ISO, MDY", "psycopg reads times in no other style; copies of deleted rows have ranges"),
        "IntervalStyle": Setting("postgres", "copies of deleted rows are read in the style in which they were written"),
        "TimeZone": Setting("UTC", "times are read and shown in UTC"),
        "extra_float_digits": Setting("1", "copies of deleted rows, and ages in seconds, have every digit of a float"),
        "lc_monetary": Setting("C", "copies of deleted rows are read in the format in which they were written"),
        "xmloption": Setting("content", "a copy of any value of type xml can be read"),
        # What a transaction sees.
        "default_transaction_isolation": Setting(
            "read committed", "a statement after a wait for a lock sees what others committed during the wait"
        ),
        "row_security": Setting("off", "a query from which a policy would hide rows is an error"),
        # What ends a session.
        "exit_on_error": Setting("off", "after an error of a batch, its halves are written in the same session"),
        "idle_session_timeout": Setting("0", "a session is idle while Kafka or a file is read"),
        "transaction_timeout": Setting("0", "a repair is one transaction; its statements and pauses have timeouts"),
        # What the migrations compare and create.
        "quote_all_identifiers": Setting("off", "an adopted table is compared by the definitions that Postgres prints"),
        "default_table_access_method": Setting("heap", "the version of a row is its `xmin`; rows are found by `ctid`"),
    }
)
"""Name → value. A setting that the server does not have, because it is older, is skipped."""

OWN: Mapping[str, Setting] = MappingProxyType(
    {
        "search_path": Setting("projector first", "names of tables are not qualified; a shadow has its own schema"),
        "idle_in_transaction_session_timeout": Setting(
            "PROJECTOR_IDLE_IN_TRANSACTION_TIMEOUT_MS", "a process that freezes in a transaction keeps no lock"
        ),
        "lock_timeout": Setting("PROJECTOR_LOCK_TIMEOUT_MS", "a wait for a lock ends"),
        "statement_timeout": Setting("PROJECTOR_STATEMENT_TIMEOUT_MS", "a statement ends"),
        "synchronous_commit": Setting("PROJECTOR_SYNCHRONOUS_COMMIT", "whether a commit waits for the disk"),
    }
)
"""Name → where the value comes from. The caller of `begin` gives these values."""

_CURE = (
    "Use a role with BYPASSRLS, or the owner of the table. If the role is the owner already, remove FORCE ROW LEVEL "
    "SECURITY from the table"
)


def begin(conn: Connection[Any], own: Mapping[str, str]) -> None:
    """Check what cannot be set, and set everything else. `own`: the values of the settings in `OWN`.

    The schemas of `search_path` come before those that the session had. Raises Misconfigured for a database that is
    not UTF-8 and for a session whose triggers do not fire.
    """
    _require_utf8(conn)
    wanted = {**{name: setting.value for name, setting in SETTINGS.items()}, **own}
    row = conn.execute(
        """
        SELECT current_setting('session_replication_role'), count(set_config(name, CASE name
                   WHEN 'search_path' THEN concat_ws(', ', value, nullif(current_setting('search_path'), ''))
                   ELSE value END, false))
          FROM unnest(%(names)s::text[], %(values)s::text[]) AS wanted (name, value)
         WHERE current_setting(name, true) IS NOT NULL
        """,
        {"names": list(wanted), "values": list(wanted.values())},
    ).fetchone()
    _require_triggers(row[0] if row else "")
    times.register(conn)


def _require_utf8(conn: Connection[Any]) -> None:
    encoding = (conn.pgconn.parameter_status(b"server_encoding") or b"unknown").decode()
    if encoding != "UTF8":
        raise Misconfigured(
            f"the database {conn.info.dbname} has the encoding {encoding}, which cannot hold every text of an event: "
            "use a database with ENCODING 'UTF8'"
        )


def _require_triggers(session_replication_role: str) -> None:
    if session_replication_role == "replica":
        raise Misconfigured(
            "session_replication_role is replica, so triggers do not fire: remove this setting from the role, the "
            "database or PGOPTIONS"
        )


def require_all_rows(conn: Connection[Any]) -> None:
    """Raise Misconfigured if row-level security applies to one of the projector's tables in this session."""
    row = conn.execute(
        """
        SELECT current_user, string_agg(relnamespace::regnamespace || '.' || relname, ', ' ORDER BY oid) FROM pg_class
         WHERE relrowsecurity AND row_security_active(oid)
           AND (oid = to_regclass('delegations')
                OR relnamespace IN (to_regnamespace('projector'), to_regnamespace('projector_shadow')))
        """
    ).fetchone()
    if row and row[1]:
        raise Misconfigured(f"row-level security would hide rows of {row[1]} from the role {row[0]}. {_CURE}")


def missing_right(error: Error, role: str = "in use") -> str:
    """The sentence about a right that the role lacks: Postgres names the table, but neither the role nor the GRANT."""
    return f"{error.diag.message_primary} (role {role}). `projector doctor` prints the GRANT statements that it lacks"


def hidden_rows(error: Error) -> str | None:
    """A sentence with the cure if Postgres refused a statement since row-level security would hide rows from it.

    The message of Postgres names the table. It is in the language of the server, so the error is recognised by the
    function that raised it.
    """
    if error.diag.source_function != "check_enable_rls":
        return None
    return f"Postgres refuses access: {error.diag.message_primary}. {_CURE}"
