"""No default of a database, a role or the environment changes a session; what cannot be set is refused."""

from contextlib import nullcontext
from typing import Any

import psycopg
import pytest
from builders import log
from cluster import wait_until
from foreign_defaults import (
    FOREIGN,
    SOURCES,
    UNUSED,
    empty,
    foreign_default,
    in_force,
    neutral,
    play_parked_times,
    play_race,
    play_texts,
)
from projecting import connected, query
from rows import delegate

from projector.errors import Misconfigured
from projector.postgres.connection import Connection, connect, transaction
from projector.postgres.session import OWN, SETTINGS
from projector.projection.transaction import project
from projector.settings import PostgresSettings

OF_BATCHES = {"enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit", "default_toast_compression"}
"""What `write_batch.sql` sets; the last one only if the server has lz4."""


@pytest.fixture(scope="module")
def with_access_method(shared_database_url: str) -> str:
    """A database with a second table access method."""
    with psycopg.connect(shared_database_url) as conn:
        conn.execute("CREATE ACCESS METHOD another_heap TYPE TABLE HANDLER heap_tableam_handler")
    return shared_database_url


@pytest.fixture
def url(with_access_method: str) -> str:
    """The same database, without rows."""
    with psycopg.connect(with_access_method) as conn:
        empty(conn)
    return with_access_method


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("name", "value"), [*FOREIGN, *UNUSED])
def test_foreign_default_changes_nothing(
    url: str, name: str, value: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with foreign_default(source, url, name, value, monkeypatch) as foreign_url:
        assert in_force(foreign_url, name).replace('"', "") == value
        with connected(foreign_url) as conn:
            play_texts(conn)
            play_parked_times(conn)
            play_race(conn, neutral(url))


def test_each_setting_of_a_session_is_tested() -> None:
    assert {name for name, _ in FOREIGN} == set(SETTINGS)


def test_session_sets_what_the_tables_list(url: str) -> None:
    with connected(url) as conn:
        found = query(conn, "SELECT name FROM pg_settings WHERE source = 'session'")
        known = query(conn, "SELECT name FROM pg_settings")
        without_lz4 = set() if "lz4" in _compressions(conn) else {"default_toast_compression"}
    assert {*found} == {"application_name", *SETTINGS, *OWN, *OF_BATCHES} & {*known} - without_lz4


@pytest.mark.parametrize("own", [None, "pglz"])
def test_tasks_are_compressed_with_lz4_where_the_server_has_it(url: str, own: str | None) -> None:
    with connected(url) as conn:
        conn.execute(f"ALTER TABLE delegations ALTER task_preview SET COMPRESSION {own or 'default'}")
        project(conn, log(delegate(0, request_body={"delegation_id": "d-1", "task": "count to three " * 250})))
        expected = own or ("lz4" if "lz4" in _compressions(conn) else "pglz")
        assert query(conn, "SELECT pg_column_compression(task_preview) FROM delegations") == [expected]
        conn.execute("ALTER TABLE delegations ALTER task_preview SET COMPRESSION default")


def _compressions(conn: Connection) -> list[str]:
    [names] = query(conn, "SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'")
    return list(names)


@pytest.mark.parametrize("name", ["idle_session_timeout", "transaction_timeout"])
def test_session_outlives_a_timeout_of_the_database(url: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with foreign_default("database", url, name, "1s", monkeypatch), connected(url) as conn, connected(url) as watcher:
        other = psycopg.connect(url, autocommit=name == "idle_session_timeout")
        other.execute("SELECT 1")
        with transaction(conn) if name == "transaction_timeout" else nullcontext():
            conn.execute("SELECT 1")
            wait_until(lambda: not _is_connected(watcher, other), "the server ends a session that sets nothing")
            assert conn.execute("SELECT 1").fetchone() == (1,)
        other.close()


def _is_connected(watcher: Connection, conn: psycopg.Connection[Any]) -> bool:
    found = watcher.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [conn.info.backend_pid])
    return bool(found.fetchall())


@pytest.mark.parametrize("source", SOURCES)
def test_session_without_triggers_is_refused(url: str, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        foreign_default(source, url, "session_replication_role", "replica", monkeypatch) as foreign_url,
        pytest.raises(Misconfigured, match="session_replication_role is replica"),
    ):
        connect(PostgresSettings(database_url=foreign_url))
