"""Audit writes that fail: the other row is written, and the error is logged and returned."""

import logging
from collections.abc import Iterator

import psycopg
import pytest
from activity_table import SEARCH_PATH, activities, create_activity_table, view
from rows import CALLEE, CALLER

from projector.errors import Misconfigured
from projector.ledger import AlreadyExists, Effect, Inserted, audit
from projector.ledger.audit import Failed, Recorded, Written
from projector.ledger.rows import Connection


@pytest.fixture
def platform(database_url: str) -> Iterator[Connection]:
    """A service's connection, not in autocommit, to a database with the table `activity_logs`."""
    create_activity_table(database_url)
    with psycopg.connect(database_url, options=SEARCH_PATH) as conn:
        yield conn


def request(conn: Connection) -> Recorded[Inserted | AlreadyExists]:
    return audit.record_request(conn, "d-1", CALLER, CALLEE, "count to three")


def another(conn: Connection) -> Connection:
    """Another connection to the same database."""
    return psycopg.connect(conn.info.dsn, password=conn.info.password, autocommit=True)


def break_table(conn: Connection, table: str) -> None:
    """Each write to the table fails at its commit."""
    with another(conn) as other:
        other.execute(
            """
            CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN RAISE EXCEPTION 'disk failure'; END $$
            """
        )
        other.execute(
            psycopg.sql.SQL(
                """
                CREATE CONSTRAINT TRIGGER fails AFTER INSERT OR UPDATE ON {} DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION public.fail()
                """
            ).format(psycopg.sql.Identifier("public", table))
        )


@pytest.mark.parametrize("autocommit", [True, False])
def test_activity_row_is_kept_if_the_view_fails(platform: Connection, autocommit: bool) -> None:
    break_table(platform, "delegations")
    platform.autocommit = autocommit
    found = request(platform)
    assert isinstance(found.activity, Written)
    assert isinstance(found.view, Failed)
    assert "disk failure" in str(found.view.error)
    assert (len(activities(platform)), len(view(platform))) == (1, 0)


@pytest.mark.parametrize("autocommit", [True, False])
def test_view_row_is_written_if_the_activity_fails(platform: Connection, autocommit: bool) -> None:
    break_table(platform, "activity_logs")
    platform.autocommit = autocommit
    found = request(platform)
    assert isinstance(found.activity, Failed)
    assert found.view == Inserted("d-1")
    assert (len(activities(platform)), len(view(platform))) == (0, 1)


def test_activity_row_survives_a_broken_connection(platform: Connection) -> None:
    with another(platform) as other:
        other.execute(
            """
            CREATE FUNCTION public.end_session() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$
            """
        )
        other.execute(
            "CREATE TRIGGER ends BEFORE INSERT ON delegations FOR EACH ROW EXECUTE FUNCTION public.end_session()"
        )
        found = request(platform)
        assert isinstance(found.activity, Written)
        assert isinstance(found.view, Failed)
        assert len(activities(other)) == 1


def test_closed_connection_fails_both_and_raises_nothing(platform: Connection) -> None:
    platform.close()
    found = audit.record_heartbeat(platform, "d-1", caller_id=CALLER)
    assert isinstance(found.activity, Failed)
    assert isinstance(found.view, Failed)


def test_call_inside_a_transaction_writes_nothing(platform: Connection) -> None:
    platform.execute("CREATE TABLE kept ()")
    found = request(platform)
    for part in found:
        assert isinstance(part, Failed)
        assert isinstance(part.error, Misconfigured)
    platform.commit()
    assert (activities(platform), view(platform)) == ([], [])
    assert platform.execute("SELECT to_regclass('kept') IS NOT NULL").fetchone() == (True,)


def test_lock_on_one_table_does_not_block_the_other(platform: Connection) -> None:
    platform.execute("SET lock_timeout = '10ms'")
    platform.commit()
    with another(platform) as other, other.transaction():
        other.execute("LOCK TABLE activity_logs")
        found = request(platform)
        assert isinstance(found.activity, Failed)
        assert isinstance(found.activity.error, psycopg.errors.LockNotAvailable)
        assert "10ms" in str(platform.execute("SHOW lock_timeout").fetchone())
    assert found.view == Inserted("d-1")


def test_lock_timeout_of_the_service_is_used(platform: Connection) -> None:
    platform.execute("ALTER TABLE activity_logs ALTER summary SET DEFAULT current_setting('lock_timeout')")
    platform.execute("SET lock_timeout = '1min'")
    platform.commit()
    request(platform)
    assert activities(platform)[0]["summary"] == "1min"


def test_lock_wait_ends_without_a_lock_timeout(platform: Connection) -> None:
    with another(platform) as other, other.transaction():
        other.execute("LOCK TABLE delegations")
        found = request(platform)
    assert isinstance(found.activity, Written)
    assert isinstance(found.view, Failed)
    assert isinstance(found.view.error, psycopg.errors.LockNotAvailable)
    assert platform.execute("SHOW lock_timeout").fetchone() == ("0",)


def test_bad_argument_is_returned_and_named(platform: Connection) -> None:
    found = audit.record_status(platform, "d-1", "done", caller_id="no uuid")  # type: ignore[arg-type]
    for part in (found.activity, found.view):
        assert isinstance(part, Failed)
        assert isinstance(part.error, ValueError)
        assert "status must be one of" in str(part.error)
    assert activities(platform) == []


def test_view_row_advances_despite_a_bad_caller(platform: Connection) -> None:
    request(platform)
    found = audit.record_status(platform, "d-1", "dispatched", caller_id="no uuid")
    assert isinstance(found.activity, Failed)
    assert "caller_id must be a uuid" in str(found.activity.error)
    assert found.view is Effect.ADVANCED


def test_error_is_logged_with_its_row(platform: Connection, caplog: pytest.LogCaptureFixture) -> None:
    break_table(platform, "delegations")
    request(platform)
    (line,) = caplog.records
    assert line.levelno == logging.ERROR
    assert line.getMessage() == 'an audit write failed: the view row of delegation "d-1"'
    assert line.__dict__["part"] == "view"
    assert line.__dict__["delegation_id"] == "d-1"
    assert "disk failure" in line.__dict__["error"]
    assert line.exc_info
