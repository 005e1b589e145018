"""Helpers that project into a real Postgres: connections, claims, fences, and the rows afterwards."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from typing import Any, LiteralString

from builders import split

from projector.domain.positions import Fence, Move
from projector.errors import Fenced
from projector.postgres import connection, positions, write_batch
from projector.postgres.connection import Connection
from projector.postgres.positions import Claim
from projector.projection.transaction import Outcomes, project
from projector.recordings.file import RecordedRecord
from projector.settings import PostgresSettings
from testbed.oracle import Row, fold_log, stored_rows

TOPIC = "activity-log"


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """Open a connection as the projector does, with prepared statements."""
    with connection.connect(PostgresSettings(database_url=url), synchronous_commit=False) as conn:
        write_batch.prepare(conn)
        yield conn


def project_in_batches(conn: Connection, records: Sequence[RecordedRecord], size: int) -> Outcomes:
    """Project in batches of this size; returns the counts of all outcomes."""
    outcomes = Outcomes()
    for batch in split(records, range(0, len(records), size)):
        outcomes += project(conn, batch)
    return outcomes


def query(conn: Connection, statement: LiteralString) -> list[Any]:
    """Return the rows of a query, or its values if it has one column; not in a transaction."""
    rows = conn.execute(statement).fetchall()
    return [row[0] if len(row) == 1 else row for row in rows]


def view_rows(conn: Connection) -> list[tuple[Any, ...]]:
    """Return the whole table, in Python's order of ids."""
    return sorted(map(astuple, stored_rows(conn).values()))


def expected_rows(records: Sequence[RecordedRecord]) -> list[tuple[Any, ...]]:
    """Return the rows that the oracle expects, in the order of `view_rows`."""
    rows: dict[str, Row] = fold_log(records).rows
    return sorted(map(astuple, rows.values()))


def dead_letters(conn: Connection) -> list[tuple[Any, ...]]:
    return query(conn, 'SELECT topic, partition, "offset", key, value FROM dead_letters ORDER BY partition, "offset"')


def claim_partition(conn: Connection, partition: int = 0, *, beginning: int = 0) -> uuid.UUID:
    """Claim a partition; returns the token."""
    token = uuid.uuid4()
    with connection.transaction(conn):
        assert (
            positions.claim(conn, Claim(TOPIC, partition, token, "topic-1", beginning, 1, "test", "group")) is not None
        )
    return token


def fence(token: uuid.UUID, *moves: tuple[int, int, int]) -> Fence:
    """Build a fence from moves (partition, start, next_offset)."""
    return Fence(token, [Move(TOPIC, *move) for move in moves])


def lock_parking(conn: Connection) -> None:
    """Take the lock of a batch with requests, until the end of the transaction."""
    conn.execute("SELECT pg_advisory_xact_lock_shared(hashtext('delegations projector: parking'))")


def position(conn: Connection, partition: int = 0) -> int:
    """Return the position of a partition."""
    rows = query(conn, "SELECT partition, next_offset FROM positions")
    [position] = [next_offset for number, next_offset in rows if number == partition]
    return int(position)


def racing_batch(
    records: Sequence[RecordedRecord], fence: Fence | None = None
) -> Callable[[Connection], Outcomes | None]:
    """Return a call for `race` that projects a batch. It returns the outcomes, or None if the batch is fenced."""

    def call(conn: Connection) -> Outcomes | None:
        conn.execute("SET search_path TO projector, public")
        write_batch.prepare(conn)
        try:
            return project(conn, records, fence)
        except Fenced:
            return None

    return call
