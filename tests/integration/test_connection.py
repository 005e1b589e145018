"""Which of our errors each error of Postgres becomes, with errors that a real server raises."""

from uuid import uuid4

import psycopg
import pytest

from projector.errors import (
    DatabaseUnavailable,
    Misconfigured,
    ProjectorError,
    StatementTimeout,
    Unwritable,
    WriteConflict,
)
from projector.postgres import migrations, positions
from projector.postgres.connection import Connection, connect, mapped_errors, transaction
from projector.settings import PostgresSettings

ERRORS = {
    "22001": Unwritable,
    "23514": Unwritable,
    "25006": DatabaseUnavailable,
    "28000": Misconfigured,
    "3D000": Misconfigured,
    "40001": WriteConflict,
    "40P01": WriteConflict,
    "42501": Misconfigured,
    "42P01": Misconfigured,
    "53100": DatabaseUnavailable,
    "54000": Unwritable,
    "55P03": DatabaseUnavailable,
    "57014": StatementTimeout,
    "58030": DatabaseUnavailable,
    "P0001": Unwritable,
    "XX000": ProjectorError,
}


@pytest.mark.parametrize(("state", "error"), ERRORS.items())
def test_each_sqlstate_has_its_error(database_url: str, state: str, error: type[ProjectorError]) -> None:
    with (
        connect(PostgresSettings(database_url=database_url)) as conn,
        pytest.raises(ProjectorError) as raised,
        transaction(conn),
    ):
        conn.execute(f"DO $$ BEGIN RAISE 'raised by the test' USING ERRCODE = '{state}'; END $$")
    assert type(raised.value) is error
    assert "raised by the test" in str(raised.value)


def test_session_ended_while_idle_is_an_outage(database_url: str) -> None:
    with connect(PostgresSettings(database_url=database_url, idle_in_transaction_timeout_ms=100)) as conn:
        with pytest.raises(DatabaseUnavailable), transaction(conn):
            _wait_until_the_server_ends_it(conn, database_url)
        conn.close()


def _wait_until_the_server_ends_it(conn: Connection, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as other:
        while other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [conn.info.backend_pid]).fetchone():
            pass
    conn.execute("SELECT 1")


def _read_positions(conn: Connection) -> None:
    with transaction(conn):
        positions.owned(conn, "activity-log", uuid4())


def test_terminated_session_is_an_outage(database_url: str) -> None:
    for read in (_read_positions, migrations.require_current):
        conn = connect(PostgresSettings(database_url=database_url))
        with psycopg.connect(database_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [conn.info.backend_pid])
        with pytest.raises(DatabaseUnavailable):
            read(conn)
        conn.close()


def test_malformed_url_is_refused_without_its_password() -> None:
    for url in ("postgres//bob:hunter2@h/db", "password=hun ter2"):
        with pytest.raises(Misconfigured, match="PROJECTOR_DATABASE_URL") as raised:
            connect(PostgresSettings(database_url=url))
        assert "ter2" not in str(raised.value)


def test_missing_server_is_an_outage() -> None:
    with pytest.raises(DatabaseUnavailable), mapped_errors():
        connect(PostgresSettings(database_url="postgresql://127.0.0.1:1/none"))
