"""What the projector's own tables keep of one delegation beside its row. Nothing here commits."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from projector.session import Connection, reactions, transaction


class Mention(NamedTuple):
    """A dead letter that may be about the delegation."""

    topic: str
    partition: int
    offset: int
    record_at: datetime | None
    died_at: datetime
    field: str | None
    reason: str
    value: bytes


@contextmanager
def snapshot(conn: Connection) -> Iterator[None]:
    """One transaction whose statements all see the same moment: a row, and the positions that it stands for."""
    with transaction(conn):
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def large_rows(conn: Connection, delegation_id: str) -> dict[str, str]:
    """Activity row id → delegation id, for the delegation's rows whose bodies may be left out of updates."""
    rows = conn.execute(
        "SELECT row_id::text, delegation_id FROM large_rows WHERE delegation_id = %(delegation_id)s",
        {"delegation_id": delegation_id},
    )
    return dict(rows)


def mentions(conn: Connection, spellings: Sequence[bytes], *, limit: int) -> list[Mention]:
    """The dead letters whose bytes contain one of these, in log order."""
    with reactions():
        rows = conn.execute(
            """
            SELECT topic, partition, "offset", record_at, died_at, field, reason, value FROM dead_letters
             WHERE EXISTS (SELECT FROM unnest(%(spellings)s::bytea[]) AS wanted (text)
                            WHERE position(wanted.text IN value) > 0)
             ORDER BY topic, partition, "offset" LIMIT %(limit)s
            """,
            {"spellings": list(spellings), "limit": limit},
            binary=True,
        ).fetchall()
    return [Mention._make(row) for row in rows]
