"""The connections of the dashboard: few, read-only, and with a short timeout per statement."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from projector.errors import DatabaseUnavailable, Misconfigured, ProjectorError
from projector.postgres.connection import Connection, closed_on_error, mapped_errors, open_view
from projector.postgres.pooler import Session
from projector.process.patience import within
from projector.settings import PostgresSettings

_CONNECTIONS = 3
"""With the second one that `pooler` opens for a moment beside each new one there are never more than four."""
_WAIT_SECONDS = 1.0
_OPEN_SECONDS = 5.0
_PAGE_SECONDS = 10.0
_STATEMENT_TIMEOUT_MS = 3_000
_IDLE_SECONDS = 60.0


class ReadPool:
    """At most three read-only connections, which are opened one by one when they are needed."""

    def __init__(
        self, settings: PostgresSettings, opener: Callable[[PostgresSettings], Connection] = open_view
    ) -> None:
        limit = min(settings.statement_timeout_ms, _STATEMENT_TIMEOUT_MS)
        self._settings = settings.model_copy(update={"statement_timeout_ms": limit})
        self._opener = opener
        self._failure: ProjectorError | None = None
        self._used = 0
        self._pool = ConnectionPool(
            connection_class=self._connection_class(),
            min_size=0,
            max_size=_CONNECTIONS,
            open=True,
            timeout=_WAIT_SECONDS,
            max_idle=_IDLE_SECONDS,
            reconnect_timeout=_WAIT_SECONDS,
            num_workers=1,
            check=_check,
        )

    def _connection_class(self) -> type[psycopg.Connection[Any]]:
        """A class whose connections are those of the projector. The pool opens them by `connect`."""
        pool = self

        class ReadOnly(psycopg.Connection[Any]):
            @classmethod
            def connect(cls, *_: Any, **__: Any) -> Any:
                return pool._open()

        return ReadOnly

    def _open(self) -> Connection:
        try:
            conn = within(_OPEN_SECONDS, self._open_read_only, late=lambda opened: opened.close())
        except TimeoutError:
            raise psycopg.OperationalError(f"no connection within {_OPEN_SECONDS:.0f} s") from None
        except ProjectorError as error:
            self._failure = error
            raise psycopg.OperationalError(str(error)) from error
        self._failure = None
        return conn

    def _open_read_only(self) -> Connection:
        conn = self._opener(self._settings)
        with closed_on_error(conn), mapped_errors():
            # One core per page: the others are the projector's. To compile a plan takes longer than to run it.
            conn.execute(
                "SET default_transaction_read_only = on; SET max_parallel_workers_per_gather = 0; SET jit = off"
            )
        return conn

    @contextmanager
    def connection(self, seconds: float = _PAGE_SECONDS) -> Iterator[Connection]:
        """A connection for one block. All its statements together may take `seconds`.

        Raises DatabaseUnavailable within a second or two if there is none.
        """
        try:
            with self._pool.connection() as conn, _limited(conn, seconds), self._counted():
                yield conn
        except PoolTimeout:
            raise self._no_connection() from None

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._used += 1
        try:
            yield
        finally:
            self._used -= 1

    def _no_connection(self) -> ProjectorError:
        if self._failure:
            is_fixable = isinstance(self._failure, Misconfigured)  # by an administrator, while this process runs
            return DatabaseUnavailable(str(self._failure)) if is_fixable else self._failure
        if self._used < _CONNECTIONS:
            return DatabaseUnavailable(f"Postgres did not answer within {_WAIT_SECONDS:.0f} s")
        return DatabaseUnavailable(
            f"all {_CONNECTIONS} connections of the dashboard are busy: try again in a few seconds"
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.close(_WAIT_SECONDS)


def _check(conn: psycopg.Connection[Any]) -> None:
    """A server that is frozen, or gone without a word, does not answer."""
    with _limited(conn, _WAIT_SECONDS):
        conn.execute("")


@contextmanager
def _limited(conn: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
    """No timeout of the server ends a wait for a server that is frozen. The connection is closed then."""
    assert isinstance(conn, Session)  # noqa: S101 - the pool has no others
    try:
        with conn.limited(seconds):
            yield
    except TimeoutError:
        conn.pgconn.finish()
        raise DatabaseUnavailable(f"Postgres did not answer within {seconds:.0f} s") from None
