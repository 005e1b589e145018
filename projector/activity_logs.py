"""The platform's table `activity_logs`, the source of truth, read in one snapshot as if it were a log."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from projector import session
from projector.errors import Misconfigured
from projector.recording import Line
from projector.session import Connection

TABLE = "activity_logs"
_ROWS_A_FETCH = 2000


@contextmanager
def snapshot(conn: Connection) -> Iterator[datetime]:
    """A transaction that sees the table as it is now, at the time that it yields, by the database's clock.

    Raises Misconfigured where the table is not there.
    """
    with session.snapshot(conn):
        row = conn.execute("SELECT now(), to_regclass('activity_logs') IS NOT NULL").fetchone()
        if row is None or not row[1]:
            raise Misconfigured(
                "there is no table activity_logs in this database: set PROJECTOR_ACTIVITY_DATABASE_URL to the "
                "platform's, and look at its search_path"
            )
        yield row[0]


def count(conn: Connection) -> int:
    """How many rows `read` gives."""
    row = conn.execute("SELECT count(*) FROM activity_logs WHERE activity_type = 'delegation'").fetchone()
    return int(row[0]) if row else 0


def read(conn: Connection) -> Iterator[Line]:
    """The rows about delegations, oldest first, each as a record whose value is the row; in the caller's snapshot."""
    with conn.cursor(name="activity_rows") as cursor:
        cursor.itersize = _ROWS_A_FETCH
        if _has_seq(conn):
            cursor.execute(
                """
                SELECT row_to_json(a)::text FROM activity_logs a
                 WHERE activity_type = 'delegation' ORDER BY created_at, seq
                """
            )
        else:
            cursor.execute(
                """
                SELECT row_to_json(a)::text FROM activity_logs a
                 WHERE activity_type = 'delegation' ORDER BY created_at, id
                """
            )
        for number, (row,) in enumerate(cursor):
            yield Line(TABLE, 0, number, None, None, row.encode())


def _has_seq(conn: Connection) -> bool:
    row = conn.execute(
        """
        SELECT EXISTS (SELECT FROM pg_attribute
                        WHERE attrelid = 'activity_logs'::regclass AND attname = 'seq' AND NOT attisdropped)
        """
    ).fetchone()
    return bool(row and row[0])
