"""Poolers: a server session that is shared with other clients is refused, and one that is lent is returned as it was.

The projector keeps settings, functions and prepared statements in its server session. A pooler in transaction or
statement mode gives every statement another server session. One in session mode lends a server session until the
connection closes, and lends it to another client afterwards.
"""

import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus

from projector.errors import DatabaseUnavailable, Misconfigured

_ANSWER_SECONDS = 10.0
_SECOND_ANSWER_SECONDS = 2.0
_RESTORE_SECONDS = 2.0
_ROUNDS_BEHIND_A_POOLER = 5
"""Other clients of a busy pool can hide that it shares its sessions, and several poolers can share one port."""

ValueT = TypeVar("ValueT")


class Session(psycopg.Connection[tuple[Any, ...]]):
    """A connection in autocommit whose `close` leaves its server session as `remember` found it."""

    _remembers = False
    _wait_until: float | None = None

    def wait(self, gen: Generator[Any, Any, ValueT], *args: Any, **options: Any) -> ValueT:
        """As in psycopg. Raises TimeoutError at the end of `limited`."""
        return super().wait(gen if self._wait_until is None else _until(self._wait_until, gen), *args, **options)

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Limit the time of all statements of the block together: no timeout of the server covers the pooler's queue.

        After a TimeoutError the connection can only be closed.
        """
        self._wait_until = time.monotonic() + seconds
        try:
            yield
        finally:
            self._wait_until = None

    def server_pid(self, seconds: float) -> int:
        """The process id of the server session. Raises TimeoutError."""
        with self.limited(seconds):
            [(pid,)] = self.execute("SELECT pg_backend_pid()", prepare=False).fetchall()
        return int(pid)

    def remember(self) -> None:
        """Note what earlier clients left in the server session, before the projector changes anything.

        The note is a setting of the session, which no list of settings shows. So it needs no client encoding.
        """
        [(_, is_prepared)] = self.execute(
            """
            SELECT set_config('projector.found', jsonb_build_object(
                       'settings', (SELECT jsonb_object_agg(name, setting) FROM pg_settings WHERE source = 'session'),
                       'prepared', ARRAY(SELECT name FROM pg_prepared_statements),
                       'functions', ARRAY(SELECT oid::text FROM pg_proc WHERE pronamespace = pg_my_temp_schema()),
                       'locks', ARRAY(SELECT (classid::bigint << 32 | objid::bigint)::text FROM pg_locks
                                       WHERE locktype = 'advisory' AND objsubid = 1 AND pid = pg_backend_pid())
                   )::text, false),
                   EXISTS (SELECT FROM pg_prepared_statements)
            """,
            prepare=False,
        ).fetchall()
        self._remembers = True
        if is_prepared:
            # Another client with psycopg has used the names of ours, and after a rollback psycopg deallocates all.
            self.prepare_threshold = None

    def close(self) -> None:
        """Restore the server session, if it answers and no transaction is open; then close."""
        remembers, self._remembers = self._remembers, False
        try:
            if remembers and not self.closed and self.info.transaction_status is TransactionStatus.IDLE:
                with suppress(psycopg.Error, TimeoutError), self.limited(_RESTORE_SECONDS):
                    self._restore()
        finally:
            super().close()

    def _restore(self) -> None:
        """Not DISCARD ALL: that would also remove what earlier clients left, which later ones may rely on."""
        statements = self.execute(
            """
            WITH noted AS (SELECT current_setting('projector.found')::jsonb AS found)
            SELECT format('DEALLOCATE %I', name) FROM pg_prepared_statements, noted WHERE NOT found->'prepared' ? name
            UNION ALL
            SELECT format('DROP ROUTINE %s', oid::regprocedure) FROM pg_proc, noted
             WHERE pronamespace = pg_my_temp_schema() AND NOT found->'functions' ? oid::text
            UNION ALL
            SELECT format('SELECT pg_advisory_unlock(%s)', key)
              FROM noted, (SELECT (classid::bigint << 32 | objid::bigint)::text AS key FROM pg_locks
                            WHERE locktype = 'advisory' AND objsubid = 1 AND pid = pg_backend_pid()) AS held
             WHERE NOT found->'locks' ? key
            """,
            prepare=False,
        ).fetchall()
        for (statement,) in statements:
            self.execute(statement, prepare=False)
        # A setting that was not noted gets NULL, which resets it. One with a point in its name cannot be removed.
        self.execute(
            """
            WITH noted AS (SELECT current_setting('projector.found')::jsonb->'settings' AS settings)
            SELECT set_config(name, settings->>name, false) FROM pg_settings, noted
             WHERE source = 'session' AND setting IS DISTINCT FROM settings->>name
            UNION ALL
            SELECT set_config('projector.knows_push', '', false)
            UNION ALL
            SELECT set_config('projector.found', '', false)
            """,
            prepare=False,
        )


def connect(conninfo: str) -> Session:
    """Connect in autocommit, with a server session that no other client uses until `close`.

    Raises Misconfigured, DatabaseUnavailable, psycopg.Error.
    """
    conn = _open(conninfo)
    try:
        _require_own_session(conn, conninfo)
        conn.remember()
        if "application_name" not in conn.info.get_parameters():
            # By statement: PgBouncer would set the one of the login in every server session that it uses.
            conn.execute("SELECT set_config('application_name', 'projector', false)", prepare=False)
    except BaseException:
        conn.close()
        raise
    return conn


def _open(conninfo: str) -> Session:
    try:
        return Session.connect(conninfo, autocommit=True)
    except psycopg.OperationalError as error:
        if "unsupported startup parameter" in str(error):  # an error of the login has no SQLSTATE
            raise Misconfigured(
                f"the pooler refuses options at the start of a connection: {error}. Remove `options` from "
                "PROJECTOR_DATABASE_URL and unset PGOPTIONS, or set ignore_startup_parameters in PgBouncer"
            ) from error
        raise


def _require_own_session(conn: Session, conninfo: str) -> None:
    """Raise Misconfigured if other connections get this connection's server session too, or it gets others.

    It only reads process ids, and not in a transaction, so nothing changes in a pool that is refused. PgBouncer gives
    the server session that was used last to the next statement. So the pid of `conn` is what a second connection sees.
    """
    own = _pid(conn)
    # A pooler must give each client a key of its own: by it, it finds the statement that a cancel request means.
    is_direct = own == conn.info.backend_pid
    for _ in range(1 if is_direct else _ROUNDS_BEHIND_A_POOLER):
        try:
            second = _open(_same_server(conn, conninfo))
        except psycopg.OperationalError:
            if is_direct:  # for example a role with CONNECTION LIMIT 1
                return
            raise
        with closing(second):
            others = _pids(second)
            # Twice, because a pool can give its sessions in turn.
            if {_pid(conn), _pid(conn)} != {own} or own in others:
                raise _shared(conn)
            if not others:  # it waits for a server session, and `conn` does not: so `conn` has its own
                return


def _pid(conn: Session) -> int:
    try:
        return conn.server_pid(_ANSWER_SECONDS)
    except TimeoutError:
        raise DatabaseUnavailable(
            f"Postgres at {_address(conn)} accepts connections but does not answer. If it is a pooler, perhaps other "
            "clients use all its server sessions (PgBouncer: default_pool_size)"
        ) from None


def _pids(second: Session) -> set[int]:
    """The server sessions that a second connection gets; none if all of a pool are in use."""
    try:
        return {second.server_pid(_SECOND_ANSWER_SECONDS), second.server_pid(_SECOND_ANSWER_SECONDS)}
    except (psycopg.Error, TimeoutError):
        return set()


def _same_server(conn: Session, conninfo: str) -> str:
    """The address of `conn`, where `conninfo` has several hosts."""
    info = conn.info
    # A Unix socket has no `hostaddr`.
    address = {"host": info.host, "port": str(info.port), **({"hostaddr": info.hostaddr} if info.hostaddr else {})}
    return make_conninfo(conninfo, **address)


def _shared(conn: Session) -> Misconfigured:
    return Misconfigured(
        f"Postgres at {_address(conn)} is a pooler in transaction or statement mode, which gives one server session to "
        "several clients. The projector keeps settings and functions in its session. Set PROJECTOR_DATABASE_URL to "
        "Postgres itself, or to a pool in session mode (PgBouncer: pool_mode = session)"
    )


def _address(conn: Session) -> str:
    return f"{conn.info.host}:{conn.info.port}"


def _until(deadline: float, gen: Generator[Any, Any, ValueT]) -> Generator[Any, Any, ValueT]:
    """The same generator of psycopg, ended by TimeoutError. psycopg resumes it several times per second."""
    ready = None
    while True:
        try:
            wanted = gen.send(ready)
        except StopIteration as ended:
            value: ValueT = ended.value
            return value
        ready = yield wanted
        if not ready and time.monotonic() > deadline:
            raise TimeoutError
