"""Connections to Postgres: how they open, how long they wait, and which of our errors its errors become."""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString, TypeAlias

import psycopg
from psycopg import generators
from psycopg.adapt import Transformer

from projector.errors import (
    DatabaseUnavailable,
    Fenced,
    LoginRefused,
    Misconfigured,
    ProjectorError,
    StatementTimeout,
    Unwritable,
    WriteConflict,
)
from projector.postgres import migrations, pooler, session
from projector.postgres.login import UrlSetting, named_errors
from projector.postgres.parameters import conninfo
from projector.settings import PostgresSettings, refreshed

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

# SQLSTATE classes and codes.
_TRANSIENT = ("08", "53", "55", "57", "58")
_ENDED_OR_READ_ONLY = ("25P03", "25P04", "25006")
_CANCELED = "57014"
"""By `statement_timeout`, or by an administrator."""
_CONFLICT = "40"
_UNSUPPORTED = "0A000"
_FENCED = "PJ001"
_SUPPRESSED = "PJ002"
"""Our own: `write_batch.sql` raises them."""
_ABOUT_DATA = ("54", "P0001")
"""A limit that a value exceeds, or a trigger of the platform that refuses the row."""


def connect(
    settings: PostgresSettings,
    *,
    synchronous_commit: bool = True,
    schema: str = "projector",
    url_setting: UrlSetting = "database_url",
) -> Connection:
    """A connection in autocommit, with the session of `session.SETTINGS`, `schema` first on the search path.

    The timeouts of the settings make sure that a frozen process holds no lock forever. What the URL leaves out comes
    from libpq's own variables (PGHOST, PGUSER, …). A URL that came from a file is read again. Raises
    DatabaseUnavailable, Misconfigured; for a URL that is another one than at the start, LoginRefused instead.
    """
    first = getattr(settings, url_setting).get_secret_value()
    url = getattr(refreshed(settings, DatabaseUnavailable), url_setting).get_secret_value()
    with _replaced_since(first != url), mapped_errors(), named_errors(url_setting, url):
        conn = pooler.connect(conninfo(url))
        with closed_on_error(conn):
            own = {
                "search_path": schema,
                "idle_in_transaction_session_timeout": str(settings.idle_in_transaction_timeout_ms),
                "lock_timeout": str(settings.lock_timeout_ms),
                "statement_timeout": str(settings.statement_timeout_ms),
                "synchronous_commit": "on" if synchronous_commit else "off",
            }
            session.begin(conn, own)
    return conn


def open_view(settings: PostgresSettings, *, synchronous_commit: bool = True) -> Connection:
    """As `connect`, to a database with every migration of this release.

    Raises Misconfigured if one is missing, or if row-level security would hide rows from this session.
    """
    conn = connect(settings, synchronous_commit=synchronous_commit)
    with closed_on_error(conn):
        migrations.require_current(conn)
        with mapped_errors():
            session.require_all_rows(conn)
    return conn


@contextmanager
def _replaced_since(is_replaced: bool) -> Iterator[None]:
    """A URL that was replaced in its file since the start may be half written, or be corrected: as a refused login."""
    try:
        yield
    except Misconfigured as error:
        if not is_replaced:
            raise
        raise LoginRefused(str(error)) from error


@contextmanager
def closed_on_error(conn: Connection) -> Iterator[None]:
    """Close the connection if the block fails, since the caller never gets it then."""
    try:
        yield
    except BaseException:
        conn.close()
        raise


@contextmanager
def transaction(conn: Connection) -> Iterator[None]:
    """One transaction, with Postgres' errors turned into ours."""
    with mapped_errors(), conn.transaction():
        yield


@contextmanager
def snapshot(conn: Connection) -> Iterator[None]:
    """One transaction whose statements all see the database as it is at the first of them."""
    conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    try:
        with transaction(conn):
            yield
    finally:
        if not conn.closed:
            conn.isolation_level = None


def oid(name: str) -> int:
    """The OID of a built-in type, or of an array of it: `text[]`."""
    return psycopg.postgres.types.get_oid(name)


def send(
    conn: Connection, statement: LiteralString, types: Sequence[int], values: Sequence[object]
) -> Callable[[], None]:
    """Send a statement that returns no rows, with $1, $2, … of these types. The returned function waits for its end.

    Until then the connection must not be used; the CPU is free.
    """
    transformer = Transformer(conn)
    transformer.set_dumper_types(types, psycopg.pq.Format.BINARY)
    with mapped_errors():
        try:
            parameters = transformer.dump_sequence(values, ())
        except (UnicodeEncodeError, OverflowError, struct.error) as error:
            raise Unwritable(f"psycopg cannot send it: {error}") from error
        conn.pgconn.send_query_params(statement.encode(), parameters, types, transformer.formats)
        conn.wait(generators.send(conn.pgconn))

    def wait() -> None:
        with mapped_errors():
            for result in conn.wait(generators.fetch_many(conn.pgconn)):
                if result.status == psycopg.pq.ExecStatus.FATAL_ERROR:
                    raise psycopg.errors.error_from_result(result)

    return wait


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Turn Postgres' errors into ours, by their SQLSTATE class."""
    try:
        yield
    except psycopg.Error as error:
        raise _mapped(error) from error
    except UnicodeDecodeError as error:
        raise ProjectorError(f"a text in the database is not UTF-8 ({error}): correct the row that has it") from error


def _mapped(error: psycopg.Error) -> ProjectorError:
    state, message = error.sqlstate, _message(error)
    if isinstance(error, psycopg.ProgrammingError) and state is None:
        return ProjectorError(f"the client of Postgres refused it: {message}")
    if isinstance(error, psycopg.DataError | psycopg.IntegrityError):  # classes 22 and 23, and what psycopg refuses
        return Unwritable(
            f"Postgres refused it: {message} (SQLSTATE {state})" if state else f"psycopg refused it: {message}"
        )
    if state == _CANCELED:
        return StatementTimeout(message)
    if state is None or state in _ENDED_OR_READ_ONLY or state.startswith(_TRANSIENT):
        return DatabaseUnavailable(message)
    if state.startswith(_CONFLICT):
        return WriteConflict(message)
    if state == _FENCED:
        return Fenced(message)
    if state == _SUPPRESSED:
        return Unwritable(message)
    if state.startswith(_ABOUT_DATA):
        return Unwritable(f"Postgres refused it: {message} (SQLSTATE {state})")
    if hidden := session.hidden_rows(error):
        return Misconfigured(hidden)
    return _not_about_data(state, error, message)


def _not_about_data(state: str, error: psycopg.Error, message: str) -> ProjectorError:
    if state in ("42P01", "42703", "3F000"):
        return Misconfigured(
            f"the schema is not the one this release needs: {message}; run `projector migrate up`. If it has been run, "
            "the role in use may lack USAGE on the schema projector"
        )
    if state == "42501":
        return Misconfigured(f"Postgres refuses access: {session.missing_right(error)}")
    if state.startswith("28") or state == "3D000":
        return Misconfigured(f"Postgres refuses access: {message}")
    if state == _UNSUPPORTED:
        return Misconfigured(
            f"Postgres cannot write the tables as they are: {message}. If delegations has a rule for INSERT or UPDATE, "
            "drop it, or make a trigger of it"
        )
    return ProjectorError(f"Postgres failed, and waiting does not help: {message} (SQLSTATE {state})")


def _message(error: psycopg.Error) -> str:
    """The error on one line, without the line number in our own function."""
    diag = error.diag
    parts = (diag.message_primary, diag.message_detail, diag.message_hint) if diag.message_primary else (str(error),)
    return " ".join(" ".join(part.split()) for part in parts if part)
