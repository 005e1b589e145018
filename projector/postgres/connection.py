"""A session with Postgres: how it is opened, how long it waits, and what each of its errors asks for."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString, NamedTuple, TypeAlias

import psycopg
from psycopg import generators
from psycopg.adapt import Transformer
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from projector.errors import DatabaseUnavailable, Fenced, Misconfigured, ProjectorError, Unwritable, WriteConflict

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

_TIMEOUTS = {"connect_timeout": "5", "keepalives_idle": "5", "keepalives_interval": "2", "keepalives_count": "3"}
_DEFAULTS = {"fallback_application_name": "projector", "tcp_user_timeout": "10000", **_TIMEOUTS}
_TRANSIENT = ("08", "53", "55", "57", "58")
_ENDED_OR_READ_ONLY = ("25P03", "25P04", "25006")
_CONTESTED = "40"
_FENCED = "PJ001"
"""Our own, raised where a batch is written."""
_ABOUT_DATA = ("54", "P0001")
"""A limit that a value exceeds, or a trigger of the platform's that turns it away."""


class Timeouts(NamedTuple):
    """How long a session may hold things up, in ms, so that a frozen peer holds no row for ever."""

    idle_in_transaction_ms: int = 8_000
    lock_ms: int = 5_000
    statement_ms: int = 30_000


def connect(
    url: str, *, timeouts: Timeouts | None = None, synchronous_commit: bool = True, schema: str = "projector"
) -> Connection:
    """A session of ours: UTC, `schema` first on the search path, time-outs set. Raises DatabaseAway, Misconfigured.

    What `url` leaves unset is left to libpq's own variables (PGHOST, PGUSER, …).
    """
    timeouts = timeouts or Timeouts()
    with mapped_errors():
        conn = psycopg.connect(make_conninfo("", **{**_DEFAULTS, **conninfo_to_dict(url)}), autocommit=True)
        try:
            conn.execute(
                """
                SELECT set_config('search_path', %(schema)s || coalesce(', ' || nullif(current_setting('search_path'),
                                  ''), ''), false),
                       set_config('TimeZone', 'UTC', false),
                       set_config('idle_in_transaction_session_timeout', %(idle)s, false),
                       set_config('lock_timeout', %(lock)s, false),
                       set_config('statement_timeout', %(statement)s, false),
                       set_config('synchronous_commit', %(synchronous_commit)s, false)
                """,
                {
                    "schema": schema,
                    "idle": str(timeouts.idle_in_transaction_ms),
                    "lock": str(timeouts.lock_ms),
                    "statement": str(timeouts.statement_ms),
                    "synchronous_commit": "on" if synchronous_commit else "off",
                },
            )
        except BaseException:
            conn.close()
            raise
    return conn


@contextmanager
def transaction(conn: Connection) -> Iterator[None]:
    """One transaction, with the database's errors turned into ours."""
    with mapped_errors(), conn.transaction():
        yield


@contextmanager
def snapshot(conn: Connection) -> Iterator[None]:
    """One transaction that sees everything as it is at its first statement."""
    conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    try:
        with transaction(conn):
            yield
    finally:
        if not conn.closed:
            conn.isolation_level = None


def oid(name: str) -> int:
    """How Postgres' protocol calls one of its own types, or an array of it: `text[]`."""
    return psycopg.postgres.types.get_oid(name)


def send(
    conn: Connection, statement: LiteralString, types: Sequence[int], values: Sequence[object]
) -> Callable[[], None]:
    """Send a statement whose rows nobody wants, with $1, $2, … of these types; what is returned waits for its end.

    Until then the session is good for nothing else, and our processor for anything.
    """
    dumping = Transformer(conn)
    dumping.set_dumper_types(types, psycopg.pq.Format.BINARY)
    with mapped_errors():
        conn.pgconn.send_query_params(statement.encode(), dumping.dump_sequence(values, ()), types, dumping.formats)
        conn.wait(generators.send(conn.pgconn))

    def wait() -> None:
        with mapped_errors():
            for result in conn.wait(generators.fetch_many(conn.pgconn)):
                if result.status == psycopg.pq.ExecStatus.FATAL_ERROR:
                    raise psycopg.errors.error_from_result(result)

    return wait


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Turn the database's errors into the reaction they ask for, by their SQLSTATE class."""
    try:
        yield
    except psycopg.Error as error:
        raise _mapped(error) from error


def _mapped(error: psycopg.Error) -> ProjectorError:
    state, said = error.sqlstate, _message(error)
    if isinstance(error, psycopg.ProgrammingError) and state is None:
        return Misconfigured(
            "PROJECTOR_DATABASE_URL is neither a URL nor key=value text that libpq understands (its own words are not "
            "shown, as they can hold the password)"
        )
    if isinstance(error, psycopg.DataError | psycopg.IntegrityError):  # classes 22 and 23, and what psycopg refuses
        return Unwritable(f"Postgres refused it: {said} (SQLSTATE {state})")
    if state is None or state in _ENDED_OR_READ_ONLY or state.startswith(_TRANSIENT):
        return DatabaseUnavailable(said)
    if state.startswith(_CONTESTED):
        return WriteConflict(said)
    if state == _FENCED:
        return Fenced(said)
    if state.startswith(_ABOUT_DATA):
        return Unwritable(f"Postgres refused it: {said} (SQLSTATE {state})")
    if state in ("42P01", "42703", "3F000"):
        return Misconfigured(f"the schema is not as this projector needs it: {said}; run `projector migrate up`")
    if state.startswith("28") or state in ("3D000", "42501"):
        return Misconfigured(f"Postgres does not let us in: {said}")
    return ProjectorError(f"Postgres failed in a way that waiting does not mend: {said} (SQLSTATE {state})")


def _message(error: psycopg.Error) -> str:
    """The error in a line, without the place in our own function where it was met."""
    diag = error.diag
    parts = (diag.message_primary, diag.message_detail, diag.message_hint) if diag.message_primary else (str(error),)
    return " ".join(" ".join(part.split()) for part in parts if part)
