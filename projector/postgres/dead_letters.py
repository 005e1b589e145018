"""Dead letters as they are taken up again: found in log order, locked, and then gone or kept with the new reason.

Nothing here commits.
"""

from collections.abc import Sequence
from typing import NamedTuple

from projector.contract.envelope import Record
from projector.domain.fold import DeadLetter
from projector.postgres.connection import Connection


class Coordinates(NamedTuple):
    """Where a record is in the log."""

    topic: str
    partition: int
    offset: int


class Filter(NamedTuple):
    """Which dead letters are meant; None is any."""

    topic: str | None = None
    partition: int | None = None
    offsets: list[int] | None = None


class StoredDeadLetter(NamedTuple):
    """A dead letter as the record that it was; `timestamp` in ms since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None
    key: bytes | None
    value: bytes
    at: str
    """Where its row is while it is locked."""


BEFORE_ALL = Coordinates("", -1, -1)


def places_after(
    conn: Connection, after: Coordinates, wanted: Filter, *, most_records: int, most_bytes: int
) -> list[Coordinates]:
    """The next of those wanted in log order, at most so many and, one aside, of so many bytes of values."""
    rows = conn.execute(
        """
        WITH following AS (
            SELECT topic, partition, "offset", sum(octet_length(value)) AS size FROM dead_letters
             WHERE (topic, partition, "offset") > (%(after_topic)s, %(after_partition)s, %(after_offset)s)
               AND (%(topic)s::text IS NULL OR topic = %(topic)s)
               AND (%(partition)s::int IS NULL OR partition = %(partition)s)
               AND (%(offsets)s::bigint[] IS NULL OR "offset" = ANY (%(offsets)s))
             GROUP BY topic, partition, "offset" ORDER BY topic, partition, "offset" LIMIT %(most_records)s
        ), summed AS (
            SELECT *, sum(size) OVER w AS total, row_number() OVER w AS n FROM following
            WINDOW w AS (ORDER BY topic, partition, "offset")
        )
        SELECT topic, partition, "offset" FROM summed WHERE n = 1 OR total <= %(most_bytes)s
         ORDER BY topic, partition, "offset"
        """,
        {
            "after_topic": after.topic,
            "after_partition": after.partition,
            "after_offset": after.offset,
            **wanted._asdict(),
            "most_records": most_records,
            "most_bytes": most_bytes,
        },
    )
    return [Coordinates._make(row) for row in rows]


def take(conn: Connection, places: Sequence[Coordinates]) -> list[StoredDeadLetter]:
    """Those of these dead letters that are still there, in log order, locked; waits for whoever else took them."""
    rows = conn.execute(
        """
        SELECT d.topic, d.partition, d."offset", (extract(epoch FROM d.record_at) * 1000)::bigint, d.key, d.value,
               d.ctid::text
          FROM dead_letters d
          JOIN unnest(%(topics)s::text[], %(partitions)s::int[], %(offsets)s::bigint[])
               AS wanted (topic, partition, "offset") USING (topic, partition, "offset")
         ORDER BY d.topic, d.partition, d."offset"
           FOR UPDATE OF d
        """,
        _columns(places),
        binary=True,
    )
    return [StoredDeadLetter._make(row) for row in rows]


def record_retry(conn: Connection, letters: Sequence[StoredDeadLetter], again: Sequence[DeadLetter]) -> None:
    """Forget the letters that are not dead letters `again`, and give the others their new reasons."""
    reasons = {_identity(letter.record): (letter.reason, letter.field) for letter in again}
    kept = [letter for letter in letters if _identity(letter) in reasons]
    gone = [letter for letter in letters if _identity(letter) not in reasons]
    conn.execute("DELETE FROM dead_letters WHERE ctid = ANY (%(at)s::tid[])", {"at": [letter.at for letter in gone]})
    conn.execute(
        """
        UPDATE dead_letters d SET reason = s.reason, field = s.field
          FROM unnest(%(at)s::tid[], %(reasons)s::text[], %(fields)s::text[]) AS s (at, reason, field)
         WHERE d.ctid = s.at AND (d.reason, d.field) IS DISTINCT FROM (s.reason, s.field)
        """,
        {
            "at": [letter.at for letter in kept],
            "reasons": [reasons[_identity(letter)][0] for letter in kept],
            "fields": [reasons[_identity(letter)][1] for letter in kept],
        },
    )


def _identity(record: Record) -> tuple[str, int, int, bytes | None]:
    return record.topic, record.partition, record.offset, record.value


def discard(conn: Connection, places: Sequence[Coordinates]) -> int:
    """Delete these dead letters for good; how many of them were still there."""
    return conn.execute(
        """
        DELETE FROM dead_letters d
         USING unnest(%(topics)s::text[], %(partitions)s::int[], %(offsets)s::bigint[])
               AS unwanted (topic, partition, "offset")
         WHERE d.topic = unwanted.topic AND d.partition = unwanted.partition AND d."offset" = unwanted."offset"
        """,
        _columns(places),
    ).rowcount


def _columns(places: Sequence[Coordinates | StoredDeadLetter]) -> dict[str, list[str] | list[int]]:
    return {
        "topics": [place.topic for place in places],
        "partitions": [place.partition for place in places],
        "offsets": [place.offset for place in places],
    }
