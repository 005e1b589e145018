"""The session of a member with Postgres: opened, lost, opened again, and how long it has been away."""

import random
import time
from collections.abc import Callable
from contextlib import closing
from uuid import UUID

from projector.errors import DatabaseUnavailable
from projector.postgres import positions
from projector.postgres.connection import Connection, closed_on_error, connect, open_view, transaction
from projector.postgres.write_batch import prepare
from projector.process.backoff import Backoff
from projector.settings import PostgresSettings

LEAVE_AFTER_SECONDS = 30.0
"""The shortest outage after which a member leaves its group. A restart of Postgres takes less."""
_LONGEST_OUTAGE = 1.5
"""The longest one, as a multiple of the shortest: at random, so that the members do not leave at one moment."""


class Database:
    """One session. It is *usable* if the schema is the right one and a batch can be written with it."""

    def __init__(self, settings: PostgresSettings, prepare: Callable[[Connection], object] = prepare) -> None:
        self._settings = settings
        self._prepare = prepare
        self._conn: Connection | None = None
        self._retry = Backoff()
        self._away_since: float | None = None
        self._leave_after_seconds = 0.0

    def connect(self) -> Connection | None:
        """The usable session. Without one it opens one, or returns None if it is too early to try again.

        Raises DatabaseUnavailable: then call `lost`. Raises Misconfigured.
        """
        if self._conn is None and not self._retry.seconds_left:
            conn = open_view(self._settings, synchronous_commit=self._settings.synchronous_commit)
            with closed_on_error(conn):
                self._prepare(conn)
            self._conn = conn
            self._away_since = None
        return self._conn

    def lost(self) -> None:
        """Close the session that failed, and wait before the next one."""
        self.close()
        self._retry.failed()
        if self._away_since is None:
            self._away_since = time.monotonic()
            self._leave_after_seconds = LEAVE_AFTER_SECONDS * random.uniform(1.0, _LONGEST_OUTAGE)

    def wrote(self) -> None:
        """A batch was written: the next failure is the first one."""
        self._retry.succeeded()

    @property
    def seconds_left(self) -> float:
        """Time until the next try to connect."""
        return self._retry.seconds_left

    @property
    def is_away_too_long(self) -> bool:
        """Whether other members should take the partitions of this one."""
        return self._away_since is not None and time.monotonic() - self._away_since > self._leave_after_seconds

    def release(self, token: UUID) -> None:
        """Clear the owner of this token's positions. Tries a new session if there is none, or if it fails.

        Raises ProjectorError.
        """
        if self._conn is not None:
            try:
                _release(self._conn, token)
            except DatabaseUnavailable:
                self.close()
            else:
                return
        with closing(connect(self._settings)) as conn:
            _release(conn, token)

    def close(self) -> None:
        """Close the session, if there is one."""
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()


def _release(conn: Connection, token: UUID) -> None:
    with transaction(conn):
        positions.release(conn, token)
