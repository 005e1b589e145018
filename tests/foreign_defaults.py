"""Defaults that a database, a role or the environment sets for sessions, and cases to play in such a session."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from cluster import wait_until
from projecting import connected, dead_letters, expected_rows, lock_parking, query, view_rows
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from roles import plain_role
from rows import CALLEE, CALLER

from projector.postgres import delegations, queries
from projector.postgres.connection import Connection
from projector.postgres.dead_letters import Filter
from projector.projection.dead_letters import retry
from projector.projection.transaction import project
from projector.recordings.file import RecordedRecord, read_recording
from projector.settings import BatchLimits

FOREIGN = [
    ("array_nulls", "off"),
    ("client_encoding", "LATIN1"),
    ("client_encoding", "SQL_ASCII"),
    ("client_encoding", "EUC_TW"),
    ("DateStyle", "SQL, DMY"),
    ("DateStyle", "German, DMY"),
    ("default_table_access_method", "another_heap"),
    ("default_transaction_isolation", "repeatable read"),
    ("default_transaction_isolation", "serializable"),
    ("exit_on_error", "on"),
    ("extra_float_digits", "-15"),
    ("idle_session_timeout", "5s"),
    ("IntervalStyle", "sql_standard"),
    ("lc_monetary", "POSIX"),
    ("quote_all_identifiers", "on"),
    ("row_security", "on"),
    ("standard_conforming_strings", "off"),
    ("TimeZone", "Pacific/Chatham"),
    ("transaction_timeout", "1min"),
    ("xmloption", "document"),
]
"""Settings that each of our sessions sets, with other values."""

UNUSED = [
    ("backslash_quote", "off"),
    ("bytea_output", "escape"),
    ("check_function_bodies", "off"),
    ("client_min_messages", "error"),
    ("constraint_exclusion", "on"),
    ("debug_parallel_query", "on"),
    ("default_toast_compression", "pglz"),
    ("default_transaction_deferrable", "on"),
    ("enable_indexscan", "off"),
    ("plan_cache_mode", "force_generic_plan"),
    ("plpgsql.extra_errors", "all"),
    ("plpgsql.variable_conflict", "use_column"),
    ("search_path", "pg_catalog, public"),
    ("synchronize_seqscans", "off"),
    ("transform_null_equals", "on"),
    ("xmlbinary", "hex"),
]
"""Settings that no statement of ours depends on, so no session sets them."""

VARIABLES = {"client_encoding": "PGCLIENTENCODING", "DateStyle": "PGDATESTYLE", "TimeZone": "PGTZ"}
"""Settings with a variable of their own. The others are set by PGOPTIONS."""

SOURCES = ("database", "role", "environment")


def neutral(url: str) -> str:
    """The URL without what the environment sets; for the sessions of the tests themselves."""
    return make_conninfo(url, client_encoding="UTF8", options="")


@contextmanager
def foreign_default(source: str, url: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Set the default for the sessions of the URL that this yields, and remove it again."""
    database = sql.Identifier(str(conninfo_to_dict(url)["dbname"]))
    with psycopg.connect(url, autocommit=True) as server:
        if source == "environment":
            options = f"-c {name}={value.replace(' ', chr(92) + ' ')}"
            monkeypatch.setenv(*((VARIABLES[name], value) if name in VARIABLES else ("PGOPTIONS", options)))
            yield url
        elif source == "database":
            server.execute(sql.SQL("ALTER DATABASE {} SET {} = {}").format(database, *_assignment(name, value)))
            try:
                yield url
            finally:
                server.execute(sql.SQL("ALTER DATABASE {} RESET ALL").format(database))
        else:
            with plain_role(url) as role_url:
                role = sql.Identifier(urlsplit(role_url).username or "")
                server.execute(sql.SQL("ALTER ROLE {} SET {} = {}").format(role, *_assignment(name, value)))
                yield role_url


def _assignment(name: str, value: str) -> tuple[sql.Composable, sql.Composable]:
    parts = value.split(", ") if name == "search_path" else [value]
    return sql.SQL(".").join(map(sql.Identifier, name.split("."))), sql.SQL(", ").join(map(sql.Literal, parts))


def in_force(url: str, name: str) -> str:
    """The value of a setting in a session that sets nothing."""
    with psycopg.connect(url, autocommit=True) as conn:
        if name == "client_encoding":
            return (conn.pgconn.parameter_status(b"client_encoding") or b"").decode()
        row = conn.execute("SELECT current_setting(%s)", [name]).fetchone()
        return str(row[0]) if row else ""


def case(name: str) -> list[RecordedRecord]:
    """The records of a file in `tests/cases`."""
    return list(read_recording(Path(__file__).parent / "cases" / f"{name}.jsonl"))


def empty(conn: psycopg.Connection[Any]) -> None:
    """Delete what a case has written."""
    conn.execute("DELETE FROM delegations; DELETE FROM projector.parked; DELETE FROM projector.dead_letters")


def play_texts(conn: Connection) -> None:
    """Texts that LATIN1 does not have, and a dead letter that is retried: it has no field, and keeps none."""
    records = case("client-encoding")
    assert project(conn, records) == {"inserted": 3, "advanced": 1, "dead_letter": 1}
    assert view_rows(conn) == expected_rows(records)
    assert "数豆子 naïve" in query(conn, "SELECT task_preview FROM delegations")
    assert [letter[2:] for letter in dead_letters(conn)] == [(3, records[3].key, b"{nonsense")]
    assert retry(conn, Filter(), BatchLimits()) == {"dead_letter": 1}
    assert query(conn, "SELECT field FROM dead_letters") == [None]


def play_parked_times(conn: Connection) -> None:
    """A parked event is applied by a later batch: its time is read."""
    empty(conn)
    records = case("datestyle")
    project(conn, records[:3])
    assert query(conn, "SELECT delegation_id FROM parked") == ["d-1"]
    project(conn, records[3:])
    assert view_rows(conn) == expected_rows(records)
    assert query(conn, "SELECT delegation_id FROM parked") == []
    [row] = delegations.read_delegations(conn, ["d-1"])
    assert {row.created_at.isoformat()[-6:], queries.clock(conn).isoformat()[-6:]} == {"+00:00"}


def play_race(conn: Connection, url: str) -> None:
    """A result arrives while the request of its delegation is being committed: it is applied, and not parked."""
    empty(conn)
    [result, *_] = case("datestyle")
    with connected(url) as other:
        other.execute("BEGIN")
        lock_parking(other)
        other.execute(
            "INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview) VALUES ('d-1', %s, %s, 't')",
            [CALLER, CALLEE],
        )
        with ThreadPoolExecutor(1) as threads:
            projected = threads.submit(project, conn, [result])
            wait_until(lambda: _waits_for_lock(other, conn), "the batch waits for the lock")
            other.commit()
            assert projected.result() == {"advanced": 1}
    assert query(conn, "SELECT status FROM delegations") == ["completed"]


def _waits_for_lock(conn: Connection, of: Connection) -> bool:
    return query(conn, f"SELECT cardinality(pg_blocking_pids({of.info.backend_pid}))") == [1]
