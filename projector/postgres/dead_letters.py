"""Dead letters that are retried: found in order, locked, then deleted or kept with their new reason.

No function here commits.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from projector.contract.envelope import Record
from projector.domain.fold import DeadLetter
from projector.postgres.connection import Connection


class Coordinates(NamedTuple):
    """The place of a record."""

    topic: str
    partition: int
    offset: int


class LetterKey(NamedTuple):
    """A dead letter. Two at one offset, such as those of two files, differ in the SHA-256 of their values."""

    topic: str
    partition: int
    offset: int
    value_hash: bytes


class Filter(NamedTuple):
    """Which dead letters are selected. None means any."""

    topic: str | None = None
    partition: int | None = None
    offsets: list[int] | None = None
    reason: str | None = None
    """A text that the reason contains."""
    field: str | None = None
    after: datetime | None = None
    before: datetime | None = None
    """The record failed at this time or later, and before that time."""


class StoredDeadLetter(NamedTuple):
    """A dead letter as the record that it was. `timestamp` is in ms since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None
    key: bytes | None
    value: bytes
    ctid: str
    """The ctid of its row, valid while the row is locked."""


BEFORE_ALL = LetterKey("", -1, -1, b"")


def places_after(
    conn: Connection, last: LetterKey, wanted: Filter, *, max_records: int, max_bytes: int
) -> list[LetterKey]:
    """The next selected dead letters, within the limits. A single one may be larger than `max_bytes`."""
    rows = conn.execute(
        """
        WITH following AS (
            SELECT topic, partition, "offset", value_hash, octet_length(value) AS size FROM dead_letters
             WHERE (topic, partition, "offset", value_hash) > (%(topic_0)s, %(partition_0)s, %(offset_0)s, %(hash_0)s)
               AND (%(topic)s::text IS NULL OR topic = %(topic)s)
               AND (%(partition)s::int IS NULL OR partition = %(partition)s)
               AND (%(offsets)s::bigint[] IS NULL OR "offset" = ANY (%(offsets)s))
               AND (%(reason)s::text IS NULL OR strpos(reason, %(reason)s) > 0)
               AND (%(field)s::text IS NULL OR field = %(field)s)
               AND (%(after)s::timestamptz IS NULL OR died_at >= %(after)s)
               AND (%(before)s::timestamptz IS NULL OR died_at < %(before)s)
             ORDER BY topic, partition, "offset", value_hash LIMIT %(max_records)s
        ), summed AS (
            SELECT *, sum(size) OVER w AS total, row_number() OVER w AS n FROM following
            WINDOW w AS (ORDER BY topic, partition, "offset", value_hash)
        )
        SELECT topic, partition, "offset", value_hash FROM summed WHERE n = 1 OR total <= %(max_bytes)s ORDER BY n
        """,
        dict(zip(("topic_0", "partition_0", "offset_0", "hash_0"), last, strict=True))
        | wanted._asdict()
        | {"max_records": max_records, "max_bytes": max_bytes},
    )
    return [LetterKey._make(row) for row in rows]


def take(conn: Connection, places: Sequence[LetterKey]) -> list[StoredDeadLetter]:
    """Those of these dead letters that still exist, in order, locked. Waits while another process holds them."""
    rows = conn.execute(
        """
        SELECT d.topic, d.partition, d."offset", (extract(epoch FROM d.record_at) * 1000)::bigint, d.key, d.value,
               d.ctid::text
          FROM dead_letters d
          JOIN unnest(%(topics)s::text[], %(partitions)s::int[], %(offsets)s::bigint[], %(hashes)s::bytea[])
               AS wanted (topic, partition, "offset", value_hash) USING (topic, partition, "offset", value_hash)
         ORDER BY d.topic, d.partition, d."offset"
           FOR UPDATE OF d
        """,
        _columns(places),
        binary=True,
    )
    return [StoredDeadLetter._make(row) for row in rows]


def record_retry(conn: Connection, letters: Sequence[StoredDeadLetter], again: Sequence[DeadLetter]) -> None:
    """Delete the dead letters that were projected, and give those that failed `again` their new reasons."""
    reasons = {_identity(letter.record): (letter.reason, letter.field) for letter in again}
    kept = [letter for letter in letters if _identity(letter) in reasons]
    gone = [letter for letter in letters if _identity(letter) not in reasons]
    conn.execute("DELETE FROM dead_letters WHERE ctid = ANY (%(at)s::tid[])", {"at": [letter.ctid for letter in gone]})
    conn.execute(
        """
        UPDATE dead_letters d SET reason = s.reason, field = s.field
          FROM unnest(%(at)s::tid[], %(reasons)s::text[], %(fields)s::text[]) AS s (at, reason, field)
         WHERE d.ctid = s.at AND (d.reason, d.field) IS DISTINCT FROM (s.reason, s.field)
        """,
        {
            "at": [letter.ctid for letter in kept],
            "reasons": [reasons[_identity(letter)][0] for letter in kept],
            "fields": [reasons[_identity(letter)][1] for letter in kept],
        },
    )


def _identity(record: Record) -> tuple[str, int, int, bytes | None]:
    return record.topic, record.partition, record.offset, record.value


def discard(conn: Connection, places: Sequence[LetterKey]) -> int:
    """Delete these dead letters permanently. Returns how many still existed."""
    return conn.execute(
        """
        DELETE FROM dead_letters d
         USING unnest(%(topics)s::text[], %(partitions)s::int[], %(offsets)s::bigint[], %(hashes)s::bytea[])
               AS unwanted (topic, partition, "offset", value_hash)
         WHERE d.topic = unwanted.topic AND d.partition = unwanted.partition AND d."offset" = unwanted."offset"
           AND d.value_hash = unwanted.value_hash
        """,
        _columns(places),
    ).rowcount


def _columns(places: Sequence[LetterKey]) -> dict[str, list[object]]:
    columns = [list(column) for column in zip(*places, strict=True)] or [[], [], [], []]
    return dict(zip(("topics", "partitions", "offsets", "hashes"), columns, strict=True))
