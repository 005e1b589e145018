"""Helpers for tests of stored dead letters: connections, records, and the rows afterwards."""

import json
from collections.abc import Sequence

from rows import CALLER, Columns, delegate

from projector.domain.fold import Changes, DeadLetter
from projector.postgres import connection
from projector.postgres.connection import Connection, transaction
from projector.postgres.dead_letters import BEFORE_ALL, Filter, LetterKey, places_after
from projector.postgres.write_batch import prepare, write
from projector.recordings.file import RecordedRecord
from projector.settings import BatchLimits, PostgresSettings

NO_LIMITS = BatchLimits(batch_records=5_000, batch_bytes=8 * 1024 * 1024)
ONE_BY_ONE = BatchLimits(batch_records=1, batch_bytes=1)


def opened(url: str) -> Connection:
    """Open a connection that can write batches."""
    conn = connection.connect(PostgresSettings(database_url=url))
    prepare(conn)
    return conn


def letter(offset: int, value: object, *, topic: str = "activity-log", partition: int = 0) -> RecordedRecord:
    """Build the record of a dead letter: bytes unchanged, any other value as JSON."""
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return RecordedRecord(topic, partition, offset, 1_777_975_200_123, b"c1", content)


def request(delegation_id: str = "d-1") -> Columns:
    """Build the activity row of a request."""
    return delegate(0, request_body={"delegation_id": delegation_id, "task": "t"}, source_id=CALLER)


def store(
    conn: Connection, letters: Sequence[RecordedRecord], reason: str = "an older release could not read it"
) -> None:
    """Store dead letters that may be readable."""
    write(conn, Changes(), {}, dead_letters=[DeadLetter(each, reason, "status") for each in letters])()


def places(conn: Connection, wanted: Filter = Filter()) -> list[LetterKey]:  # noqa: B008 - immutable
    """Return the places of the selected dead letters, in order."""
    with transaction(conn):
        return places_after(conn, BEFORE_ALL, wanted, max_records=1_000, max_bytes=1_000_000)


def remaining(conn: Connection) -> list[tuple[int, str]]:
    """Return offset and reason of each dead letter, in order."""
    rows = conn.execute('SELECT "offset", reason FROM dead_letters ORDER BY topic, partition, "offset"')
    return [(offset, reason) for offset, reason in rows]


def statuses(conn: Connection) -> dict[str, str]:
    """Return delegation id → status."""
    return dict(conn.execute("SELECT delegation_id, status FROM delegations").fetchall())
