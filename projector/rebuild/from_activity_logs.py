"""The platform's table `activity_logs` as the source of a rebuild, read in one snapshot as if it were a log."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from projector.contract.envelope import Record
from projector.errors import Misconfigured
from projector.kafka.reader import TopicReader
from projector.postgres import connection
from projector.postgres.connection import Connection
from projector.rebuild import shadow
from projector.rebuild.drift import Coverage
from projector.rebuild.source import ShadowProjector, WithoutOffsets, fold_lines, rewind
from projector.recordings.file import RecordedRecord

TABLE = "activity_logs"
_FETCH_ROWS = 2000


class FromActivityLogs(WithoutOffsets):
    """The table `activity_logs`: the present status of each delegation, not each step to it."""

    name = "table activity_logs"
    has_total_order = True

    def __init__(self, conn: Connection, topic: TopicReader | None) -> None:
        self.conn = conn
        self.topic = topic
        self._at: datetime | None = None

    def is_empty(self) -> bool:
        return False

    def read_again(self, view: Connection) -> Iterator[Record]:
        return iter(())  # needless: it has no partitions

    def can_resume(self, view: Connection) -> bool:
        return False  # the snapshot ended with the connection that read it

    def begin(self, view: Connection, token: UUID, *, drop_uncovered: bool) -> tuple[Coverage, int]:
        shadow.start_at(view, TABLE, {0: 0}, token, None)
        return Coverage(proves_absence=False, is_log=False, steps=False), 0

    def fold(self, view: Connection, into: ShadowProjector) -> None:
        if self._at is not None:
            return
        into.verdicts = {}
        with _snapshot(self.conn) as at:
            into.total = _count(self.conn)
            fold_lines(into, TABLE, _read(self.conn), 0)
        self._at = at

    def coverage(self, view: Connection, initial: Coverage) -> Coverage:
        return initial._replace(until=self._at)

    def release_positions(self, view: Connection, until: Mapping[int, int], *, wrote: bool, whole: bool) -> None:
        if self.topic is not None:
            rewind(view, self.topic, self._at if wrote else None, over_gaps=whole)


@contextmanager
def _snapshot(conn: Connection) -> Iterator[datetime]:
    """A transaction that sees the table as of the time that this yields, by the database's clock.

    Raises Misconfigured where the database has no such table.
    """
    with connection.snapshot(conn):
        row = conn.execute("SELECT now(), to_regclass('activity_logs') IS NOT NULL").fetchone()
        if row is None or not row[1]:
            raise Misconfigured(
                "the database has no table activity_logs: set PROJECTOR_ACTIVITY_DATABASE_URL to the platform's "
                "database, and check its search_path"
            )
        yield row[0]


def _count(conn: Connection) -> int:
    """How many rows `_read` yields."""
    row = conn.execute("SELECT count(*) FROM activity_logs WHERE activity_type = 'delegation'").fetchone()
    return int(row[0]) if row else 0


def _read(conn: Connection) -> Iterator[RecordedRecord]:
    """The rows about delegations, oldest first, as records whose value is the row; in the caller's snapshot.

    Verdicts come last: the table does not show when a row got its status, so an answer wins over a verdict.
    """
    with conn.cursor(name="activity_rows") as cursor:
        cursor.itersize = _FETCH_ROWS
        if _has_seq(conn):
            cursor.execute(
                """
                SELECT row_to_json(a)::text FROM activity_logs a
                 WHERE activity_type = 'delegation' ORDER BY method IS NOT DISTINCT FROM 'verdict', created_at, seq
                """
            )
        else:
            cursor.execute(
                """
                SELECT row_to_json(a)::text FROM activity_logs a
                 WHERE activity_type = 'delegation' ORDER BY method IS NOT DISTINCT FROM 'verdict', created_at, id
                """
            )
        for number, (row,) in enumerate(cursor):
            yield RecordedRecord(TABLE, 0, number, None, None, row.encode())


def _has_seq(conn: Connection) -> bool:
    row = conn.execute(
        """
        SELECT EXISTS (SELECT FROM pg_attribute
                        WHERE attrelid = 'activity_logs'::regclass AND attname = 'seq' AND NOT attisdropped)
        """
    ).fetchone()
    return bool(row and row[0])
