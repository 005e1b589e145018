"""Connections of services with any defaults: the ledger is right all the same, or names what is wrong."""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from activity_table import create_activity_table
from foreign_defaults import FOREIGN, UNUSED
from psycopg import IsolationLevel, errors
from psycopg.conninfo import make_conninfo
from roles import plain_role
from rows import CALLEE, CALLER

from projector import ledger
from projector.errors import Misconfigured
from projector.ledger import AlreadyExists, Conflict, Effect, Inserted, audit
from projector.ledger.audit import Failed
from projector.ledger.rows import Connection
from testbed.oracle import Row, stored_rows

DEADLINE = datetime(2030, 5, 6, 7, 8, 9, 123_456, tzinfo=UTC)
HARMLESS = [
    (name, value)
    for name, value in [*FOREIGN, *UNUSED]
    if name not in ("client_encoding", "default_table_access_method", "exit_on_error", "plpgsql.extra_errors")
]
NOT_UTF8 = [value for name, value in FOREIGN if name == "client_encoding"]


def insert(conn: Connection, delegation_id: str = "d-1", key: str | None = "数 'k'\\") -> Inserted | AlreadyExists:
    return ledger.insert(
        conn, delegation_id, CALLER, CALLEE, "数豆子 \\ 'naïve'", idempotency_key=key, deadline=DEADLINE
    )


def play(conn: Connection) -> None:
    """Each function of the ledger, with each of its answers."""
    assert insert(conn) == Inserted("d-1")
    assert insert(conn) == AlreadyExists("d-1", Conflict.SAME_ID)
    assert insert(conn, "d-2") == AlreadyExists("d-1", Conflict.SAME_KEY)
    assert ledger.heartbeat(conn, "d-1") is Effect.HEARTBEAT
    assert ledger.set_status(conn, "d-1", "in_progress") is Effect.ADVANCED
    assert ledger.set_status(conn, "d-1", "dispatched") is Effect.STALE
    assert ledger.set_status(conn, "d-1", "completed") is Effect.ADVANCED
    assert ledger.set_status(conn, "d-1", "completed", result="四十一 \\") is Effect.FILLED
    assert ledger.set_status(conn, "d-1", "completed") is Effect.DUPLICATE
    assert ledger.set_status(conn, "d-1", "failed") is Effect.REFUSED
    assert ledger.heartbeat(conn, "d-1") is Effect.REFUSED
    assert ledger.heartbeat(conn, "d-2") is Effect.MISSING


def stored(url: str) -> Row:
    with psycopg.connect(url, autocommit=True) as conn:
        [row] = stored_rows(conn).values()
    return row


@pytest.fixture
def url(shared_database_url: str) -> str:
    with psycopg.connect(shared_database_url) as conn:
        conn.execute("DELETE FROM delegations")
    return shared_database_url


def _settings(conn: Connection) -> list[tuple[str, str]]:
    return conn.execute("SELECT name, setting FROM pg_settings WHERE source = 'session' ORDER BY 1").fetchall()


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize(("name", "value"), HARMLESS)
def test_ledger_is_right_under_any_default(url: str, name: str, value: str, autocommit: bool) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        if name == "search_path":
            conn.execute("SET search_path = pg_catalog, public")
        else:
            conn.execute("SELECT set_config(%s, %s, false)", [name, value])
        conn.execute("LOAD 'plpgsql'")  # a trigger loads it, and its settings are listed only then
        before = _settings(conn)
        conn.autocommit = autocommit
        play(conn)
        assert _settings(conn) == before
    row = stored(url)
    assert (row.task_preview, row.deadline, row.result_preview) == ("数豆子 \\ 'naïve'", DEADLINE, "四十一 \\")


@pytest.mark.parametrize("value", NOT_UTF8)
def test_client_encoding_other_than_utf8_is_named(url: str, value: str) -> None:
    with psycopg.connect(make_conninfo(url, client_encoding=value), autocommit=True) as conn:
        calls = (
            lambda: insert(conn),
            lambda: ledger.set_status(conn, "d-1", "completed"),
            lambda: ledger.heartbeat(conn, "d-1"),
        )
        for call in calls:
            if value == "EUC_TW":
                with pytest.raises(psycopg.NotSupportedError, match=value):  # psycopg cannot use it at all
                    call()
            else:
                with pytest.raises(Misconfigured, match=f"client_encoding is {value}, .* client_encoding=UTF8"):
                    call()
    with psycopg.connect(url) as conn:
        assert stored_rows(conn) == {}


# --- pipeline mode


@pytest.mark.parametrize("autocommit", [True, False])
def test_ledger_is_right_in_pipeline_mode(url: str, autocommit: bool) -> None:
    with psycopg.connect(url, autocommit=autocommit) as conn, conn.pipeline():
        play(conn)
    assert stored(url).status == "completed"


def test_audit_refuses_pipeline_mode(database_url: str) -> None:
    create_activity_table(database_url)
    with psycopg.connect(database_url, autocommit=True) as conn:
        with conn.pipeline():
            recorded = audit.record_request(conn, "d-1", CALLER, CALLEE, "task")
        for part in recorded:
            assert isinstance(part, Failed)
            assert isinstance(part.error, Misconfigured)
            assert "pipeline mode" in str(part.error)
        assert stored_rows(conn) == {}
        assert conn.execute("SELECT count(*) FROM activity_logs").fetchone() == (0,)


# --- isolation


@pytest.fixture(params=[IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE])
def isolated(request: pytest.FixtureRequest, url: str) -> Iterator[Connection]:
    """A transaction of a higher isolation level that has its snapshot already."""
    with psycopg.connect(url) as conn:
        conn.isolation_level = request.param
        conn.execute("SELECT FROM delegations")
        yield conn


@pytest.fixture
def other(url: str) -> Iterator[Connection]:
    with psycopg.connect(url, autocommit=True) as conn:
        yield conn


@pytest.mark.parametrize("delegation_id", ["d-1", "d-2"])
def test_insert_against_a_row_after_the_snapshot_fails(
    isolated: Connection, other: Connection, delegation_id: str
) -> None:
    insert(other)
    with pytest.raises(errors.SerializationFailure):
        insert(isolated, delegation_id)


def test_insert_finds_a_row_of_its_own_transaction(isolated: Connection) -> None:
    assert insert(isolated) == Inserted("d-1")
    assert insert(isolated, "d-2") == AlreadyExists("d-1", Conflict.SAME_KEY)


def test_row_after_the_snapshot_is_missing(isolated: Connection, other: Connection) -> None:
    insert(other)
    assert ledger.set_status(isolated, "d-1", "completed") is Effect.MISSING
    assert ledger.heartbeat(isolated, "d-1") is Effect.MISSING
    isolated.commit()
    assert ledger.set_status(isolated, "d-1", "completed") is Effect.ADVANCED


def test_row_that_changed_after_the_snapshot_fails(url: str, other: Connection) -> None:
    insert(other)
    with psycopg.connect(url) as conn:
        conn.isolation_level = IsolationLevel.REPEATABLE_READ
        conn.execute("SELECT FROM delegations")
        ledger.set_status(other, "d-1", "in_progress")
        with pytest.raises(errors.SerializationFailure):
            ledger.heartbeat(conn, "d-1")


def test_read_only_transaction_fails(url: str, other: Connection) -> None:
    insert(other)
    with psycopg.connect(url) as conn:
        conn.read_only = True
        for call in (lambda: insert(conn, "d-2"), lambda: ledger.set_status(conn, "d-1", "completed")):
            with pytest.raises(errors.ReadOnlySqlTransaction):
                call()
            conn.rollback()


# --- row-level security


@pytest.fixture
def service(database_url: str) -> Iterator[Connection]:
    """A role that sees no row of `delegations`, and may insert and update any; d-1 is there."""
    with plain_role(database_url) as role_url, psycopg.connect(database_url, autocommit=True) as owner:
        insert(owner)
        owner.execute(
            """
            ALTER TABLE delegations ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own_rows ON delegations FOR SELECT USING (caller_id::text = 'another');
            CREATE POLICY inserts ON delegations FOR INSERT WITH CHECK (true);
            CREATE POLICY updates ON delegations FOR UPDATE USING (true);
            """
        )
        with psycopg.connect(role_url, autocommit=True) as conn:
            yield conn


def test_hidden_row_is_not_called_missing(service: Connection) -> None:
    role = service.info.user
    calls = (
        lambda: ledger.set_status(service, "d-1", "completed"),
        lambda: ledger.heartbeat(service, "d-1"),
        lambda: insert(service),
        lambda: insert(service, "d-2"),
    )
    for call in calls:
        with pytest.raises(Misconfigured, match=f"row-level security .* the role {role}, .* BYPASSRLS"):
            call()
    assert insert(service, "d-3", None) == Inserted("d-3")


def test_hidden_row_is_named_by_postgres_if_the_service_asks_for_it(service: Connection) -> None:
    service.execute("SET row_security = off")
    with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
        ledger.set_status(service, "d-1", "completed")
