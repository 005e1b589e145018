"""Connections through a real PgBouncer: a shared server session is refused, a lent one is returned as it was."""

import shutil
from collections.abc import Generator
from pathlib import Path
from time import sleep
from typing import Any

import psycopg
import pytest
from pooling import busy, mark, pooled, states
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from projector.errors import DatabaseUnavailable, Misconfigured, Unwritable
from projector.postgres import pooler
from projector.postgres.connection import connect, transaction
from projector.postgres.write_batch import prepare
from projector.rebuild import shadow
from projector.settings import PostgresSettings
from testbed.servers.pooler import start_pooler
from testbed.servers.server import ServerUnavailable, free_port

ROLE = "one_connection"


def settings(url: str) -> PostgresSettings:
    return PostgresSettings(database_url=url)


# --- what is refused


@pytest.mark.parametrize("in_turn", ["0", "1"], ids=["last used first", "in turn"])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_pool_in_transaction_mode_is_refused_and_unchanged(
    tmp_path: Path, database_url: str, size: int, in_turn: str
) -> None:
    with pooled(tmp_path, database_url, "transaction", size, server_round_robin=in_turn) as pool:
        found = states(pool.url, size)
        assert len(found) == size
        for _ in range(3):
            _assert_refused(pool.url)
        assert states(pool.url, size) == found


def test_pool_in_statement_mode_is_refused_and_unchanged(tmp_path: Path, database_url: str) -> None:
    with pooled(tmp_path, database_url, "statement", 5) as pool:
        found = _next_session(pool.url)
        for _ in range(3):
            _assert_refused(pool.url)
        assert _next_session(pool.url) == found


def _assert_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match=r"transaction or statement mode.*pool_mode = session"):
        connect(settings(url))


def _next_session(url: str) -> object:
    """The server session that a next client gets: its process and its settings."""
    with psycopg.connect(url, autocommit=True) as conn:
        return conn.execute(
            "SELECT pg_backend_pid(), array_agg((name, setting)::text ORDER BY name) FROM pg_settings"
        ).fetchall()


@pytest.mark.parametrize("size", [2, 5])
def test_busy_pool_is_refused_each_time(tmp_path: Path, database_url: str, size: int) -> None:
    with pooled(tmp_path, database_url, "transaction", size) as pool, busy(pool.url, 4):
        for _ in range(10):
            _assert_refused(pool.url)


def test_refused_startup_options_are_a_misconfiguration(tmp_path: Path, database_url: str) -> None:
    with (
        pooled(tmp_path, database_url, "session", 2) as pool,
        pytest.raises(Misconfigured, match=r"unsupported startup parameter: options.*unset PGOPTIONS"),
    ):
        connect(settings(make_conninfo(pool.url, options="-c work_mem=5MB")))


# --- what is accepted


@pytest.mark.parametrize("size", [2, 5])
def test_session_mode_is_accepted(tmp_path: Path, database_url: str, size: int) -> None:
    with pooled(tmp_path, database_url, "session", size) as pool:
        for _ in range(3):
            with connect(settings(pool.url)) as conn:
                assert conn.execute("SHOW TimeZone").fetchone() == ("UTC",)


def test_busy_pool_in_session_mode_is_accepted(tmp_path: Path, database_url: str) -> None:
    with pooled(tmp_path, database_url, "session", 6) as pool, busy(pool.url, 4):
        for _ in range(5):
            connect(settings(pool.url)).close()


def test_pool_of_one_session_is_accepted(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second connection waits for a server session, and the first one does not."""
    monkeypatch.setattr(pooler, "_SECOND_ANSWER_SECONDS", 0.5)
    with pooled(tmp_path, database_url, "session", 1) as pool:
        connect(settings(pool.url)).close()


def test_role_with_one_connection_is_accepted(database_url: str) -> None:
    """No second connection is possible, but the key of the first one names its server session."""
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(f"DROP ROLE IF EXISTS {ROLE}")
        admin.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD 'secret' CONNECTION LIMIT 1")
    with connect(settings(make_conninfo(database_url, user=ROLE, password="secret"))) as conn:
        with pytest.raises(psycopg.OperationalError, match="too many connections"):
            psycopg.connect(make_conninfo(database_url, user=ROLE, password="secret"))
        assert conn.execute("SELECT current_user::text").fetchone() == (ROLE,)
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = %s", [ROLE])
        admin.execute(f"DROP ROLE {ROLE}")


# --- what is waited for


def test_pool_without_a_free_session_is_an_outage(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooler, "_ANSWER_SECONDS", 0.3)
    with pooled(tmp_path, database_url, "session", 1) as pool, psycopg.connect(pool.url) as other:
        other.execute("SELECT")
        with pytest.raises(DatabaseUnavailable, match=r"does not answer.*default_pool_size"):
            connect(settings(pool.url))


def test_pooler_that_refuses_the_second_connection_is_an_outage(tmp_path: Path, database_url: str) -> None:
    """Nothing then proves that the session is not shared."""
    with (
        pooled(tmp_path, database_url, "transaction", 1, max_client_conn="1") as pool,
        pytest.raises(DatabaseUnavailable, match="no more connections allowed"),
    ):
        _connect_as_the_only_client(pool.url)


def _connect_as_the_only_client(url: str) -> None:
    """PgBouncer counts a client until it has noticed its end."""
    for _ in range(200):
        try:
            connect(settings(url))
        except DatabaseUnavailable:
            sleep(0.01)
    connect(settings(url))


def test_second_connection_goes_to_the_server_of_the_first(database_url: str) -> None:
    """Of several hosts, another one would prove nothing."""
    parts = conninfo_to_dict(database_url)
    hosts = {"host": f"localhost,{parts['host']}", "port": f"{free_port()},{parts['port']}"}
    url = make_conninfo(database_url, **hosts)
    with pooler.connect(url) as conn:
        second = conninfo_to_dict(pooler._same_server(conn, url))
    assert (second["host"], second["port"]) == (parts["host"], str(parts["port"]))


# --- what is restored


@pytest.mark.parametrize("encoding", ["UTF8", "LATIN1", "SQL_ASCII"])
def test_close_restores_the_server_session(tmp_path: Path, database_url: str, encoding: str) -> None:
    with pooled(tmp_path, database_url, "session", 2) as pool:
        mark(pool.url, 2)
        before = states(pool.url, 2)
        with connect(settings(make_conninfo(pool.url, client_encoding=encoding))) as conn:
            prepare(conn)
            assert shadow.lock(conn)
            for number in range(10):
                conn.execute("SELECT %s + 1", [number])
            conn.execute("SET other.setting = 'x'")
            conn.execute("SET work_mem = '6MB'")
            conn.execute("SET deadlock_timeout = '2s'")
        assert states(pool.url, 2) == before


def test_next_client_of_the_session_does_not_know_the_push(tmp_path: Path, database_url: str) -> None:
    """It may be a member of an earlier release, which must be fenced (migration 055)."""
    with pooled(tmp_path, database_url, "session", 2) as pool:
        with connect(settings(pool.url)) as conn:
            prepare(conn)
        with psycopg.connect(pool.url) as first, psycopg.connect(pool.url) as second:
            known = [each.execute("SELECT current_setting('projector.knows_push', true)") for each in (first, second)]
            assert {each.fetchall()[0][0] for each in known} <= {None, ""}


def test_close_after_an_error_restores_the_server_session(tmp_path: Path, database_url: str) -> None:
    with pooled(tmp_path, database_url, "session", 2) as pool:
        mark(pool.url, 2)
        before = states(pool.url, 2)
        with pytest.raises(Unwritable), connect(settings(pool.url)) as conn, transaction(conn):
            conn.execute("SELECT 1 / 0")
        assert states(pool.url, 2) == before


def test_prepared_statements_of_another_client_cause_no_conflict(tmp_path: Path, database_url: str) -> None:
    """A client with psycopg that was killed leaves statements with the names that ours would have."""
    with pooled(tmp_path, database_url, "session", 2) as pool:
        with psycopg.connect(pool.url, autocommit=True, prepare_threshold=0) as other:
            other.execute("SELECT 1")
        with connect(settings(pool.url)) as conn:
            assert conn.execute("SELECT name FROM pg_prepared_statements", prepare=False).fetchall() == [("_pg3_0",)]
            for number in range(10):
                assert conn.execute("SELECT %s + 1", [number]).fetchone() == (number + 1,)


def test_close_does_not_wait_for_a_frozen_server(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooler, "_RESTORE_SECONDS", 0.2)
    with pooled(tmp_path, database_url, "session", 2) as pool:
        conn = connect(settings(pool.url))
        pool.pause()
        conn.close()
        pool.resume()
    assert conn.closed


def test_limited_statement_may_end_without_a_wait(database_url: str) -> None:
    def ended() -> Generator[Any, Any, int]:
        yield from ()
        return 5

    with connect(settings(database_url)) as conn:
        assert isinstance(conn, pooler.Session)
        with conn.limited(10.0):
            assert conn.wait(ended()) == 5


# --- the test bed


def test_missing_pgbouncer_is_named_with_its_package(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program, path=None: None)
    with pytest.raises(ServerUnavailable, match="install the package `pgbouncer`"):
        start_pooler(Path("unused"), database_url, pool_mode="session", pool_size=1)
