"""The connections of the dashboard: few, read-only, and with a short timeout per statement."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from projector.errors import DatabaseUnavailable, Misconfigured, ProjectorError
from projector.postgres.connection import Connection, mapped_errors, open_view
from projector.settings import PostgresSettings

_CONNECTIONS = 4
_WAIT_SECONDS = 1.0
_STATEMENT_TIMEOUT_MS = 3_000
_IDLE_SECONDS = 60.0


class ReadPool:
    """At most four read-only connections, which are opened when they are needed."""

    def __init__(self, settings: PostgresSettings) -> None:
        limit = min(settings.statement_timeout_ms, _STATEMENT_TIMEOUT_MS)
        self._settings = settings.model_copy(update={"statement_timeout_ms": limit})
        self._failure: ProjectorError | None = None
        self._pool = ConnectionPool(
            connection_class=self._connection_class(),
            min_size=0,
            max_size=_CONNECTIONS,
            open=True,
            timeout=_WAIT_SECONDS,
            max_idle=_IDLE_SECONDS,
            reconnect_timeout=_WAIT_SECONDS,
            check=ConnectionPool.check_connection,
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
            conn = open_view(self._settings)
            with mapped_errors():
                conn.execute("SET default_transaction_read_only = on")
        except ProjectorError as error:
            self._failure = error
            raise psycopg.OperationalError(str(error)) from error
        self._failure = None
        return conn

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection for one block. Raises DatabaseUnavailable within a second if there is none."""
        try:
            with self._pool.connection() as conn:
                yield conn
        except PoolTimeout:
            failure = self._failure or DatabaseUnavailable(
                f"all {_CONNECTIONS} connections of the dashboard are busy: try again in a few seconds"
            )
            if isinstance(failure, Misconfigured):
                raise DatabaseUnavailable(str(failure)) from None
            raise failure from None

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()
