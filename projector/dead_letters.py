"""Dead letters as they are taken up again: found in log order, locked, and then gone or kept with the new reason.

Nothing here commits.
"""

from collections.abc import Sequence
from typing import NamedTuple

from projector.session import Connection


class Place(NamedTuple):
    """Where a record is in the log."""

    topic: str
    partition: int
    offset: int


class Wanted(NamedTuple):
    """Which dead letters are meant; None is any."""

    topic: str | None = None
    partition: int | None = None
    offsets: list[int] | None = None


class Letter(NamedTuple):
    """A dead letter as the record that it was; `timestamp` in ms since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None
    key: bytes | None
    value: bytes


BEFORE_ALL = Place("", -1, -1)


def places_after(conn: Connection, after: Place, wanted: Wanted, *, most_records: int, most_bytes: int) -> list[Place]:
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
    return [Place._make(row) for row in rows]


def take(conn: Connection, places: Sequence[Place]) -> list[Letter]:
    """Those of these dead letters that are still there, in log order, locked; waits for whoever else took them."""
    rows = conn.execute(
        """
        SELECT d.topic, d.partition, d."offset", (extract(epoch FROM d.record_at) * 1000)::bigint, d.key, d.value
          FROM dead_letters d
          JOIN unnest(%(topics)s::text[], %(partitions)s::int[], %(offsets)s::bigint[])
               AS wanted (topic, partition, "offset") USING (topic, partition, "offset")
         ORDER BY d.topic, d.partition, d."offset"
           FOR UPDATE OF d
        """,
        _columns(places),
        binary=True,
    )
    return [Letter._make(row) for row in rows]


def settle(conn: Connection, letters: Sequence[Letter]) -> None:
    """Forget those of the letters that the batch did not stage as dead ones again, and give the others its reasons."""
    columns = _columns(letters)
    conn.execute(
        """
        DELETE FROM dead_letters d
         USING unnest(%(topics)s::text[], %(partitions)s::int[], %(offsets)s::bigint[])
               AS retried (topic, partition, "offset")
         WHERE d.topic = retried.topic AND d.partition = retried.partition AND d."offset" = retried."offset"
           AND NOT EXISTS (SELECT FROM staged_dead_letters s
                            WHERE s.topic = d.topic AND s.partition = d.partition AND s."offset" = d."offset"
                              AND s.value = d.value)
        """,
        columns,
    )
    conn.execute(
        """
        UPDATE dead_letters d SET reason = s.reason, field = s.field FROM staged_dead_letters s
         WHERE d.topic = s.topic AND d.partition = s.partition AND d."offset" = s."offset" AND d.value = s.value
           AND (d.reason, d.field) IS DISTINCT FROM (s.reason, s.field)
        """
    )


def discard(conn: Connection, places: Sequence[Place]) -> int:
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


def _columns(places: Sequence[Place | Letter]) -> dict[str, list[str] | list[int]]:
    return {
        "topics": [place.topic for place in places],
        "partitions": [place.partition for place in places],
        "offsets": [place.offset for place in places],
    }
