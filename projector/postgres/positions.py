"""Positions: how far each partition is projected, who may move it, and the gate that fences a stale writer."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from projector.domain.positions import log_gap_remedy
from projector.errors import LogGap
from projector.postgres.connection import Connection


class Claim(NamedTuple):
    """A member's wish to own a partition. `beginning` is the log's first offset, taken where no position is stored."""

    topic: str
    partition: int
    token: UUID
    topic_id: str | None
    beginning: int
    generation: int | None
    member: str


def claim(conn: Connection, wanted: Claim) -> int | None:
    """Own a partition; the next offset to project, or None where another transaction holds its row just now.

    Raises LogGap where the topic was deleted and made anew: its offsets then mean other records.
    """
    place = wanted._asdict()
    conn.execute(
        """
        INSERT INTO positions (topic, partition, next_offset, topic_id)
        VALUES (%(topic)s, %(partition)s, %(beginning)s, %(topic_id)s) ON CONFLICT DO NOTHING
        """,
        place,
    )
    row = conn.execute(
        """
        SELECT next_offset, topic_id FROM positions
         WHERE topic = %(topic)s AND partition = %(partition)s FOR UPDATE SKIP LOCKED
        """,
        place,
    ).fetchone()
    if row is None:
        return None
    next_offset, topic_id = row
    if topic_id is not None and wanted.topic_id is not None and topic_id != wanted.topic_id:
        raise LogGap(
            f"topic {wanted.topic} was deleted and made anew: partition {wanted.partition} was projected up to offset "
            f"{next_offset} of topic id {topic_id}, and the topic now has id {wanted.topic_id}. " + log_gap_remedy()
        )
    conn.execute(
        """
        UPDATE positions
           SET owner = %(token)s, topic_id = coalesce(%(topic_id)s, topic_id), generation = %(generation)s,
               member = %(member)s, claimed_at = clock_timestamp()
         WHERE topic = %(topic)s AND partition = %(partition)s
        """,
        place,
    )
    return int(next_offset)


def release(conn: Connection, token: UUID) -> None:
    """Own nothing any more, for `status` to say so; whoever comes next would claim it in any case."""
    conn.execute("UPDATE positions SET owner = NULL, member = NULL WHERE owner = %(token)s", {"token": token})


def read(conn: Connection, topic: str) -> dict[int, tuple[int, str | None]]:
    """Partition → the next offset to project, and the id of the topic that it is of."""
    rows = conn.execute(
        "SELECT partition, next_offset, topic_id FROM positions WHERE topic = %(topic)s", {"topic": topic}
    )
    return {partition: (next_offset, topic_id) for partition, next_offset, topic_id in rows}


def owned(conn: Connection, topic: str, token: UUID) -> dict[int, int]:
    """Partition → the next offset to project, of those that bear this owner's token."""
    rows = conn.execute(
        "SELECT partition, next_offset FROM positions WHERE topic = %(topic)s AND owner = %(token)s",
        {"topic": topic, "token": token},
    )
    return dict(rows)


def lock(conn: Connection, topic: str) -> dict[int, int]:
    """Hold up every member before its gate until the end of this transaction; partition → next offset."""
    rows = conn.execute(
        "SELECT partition, next_offset FROM positions WHERE topic = %(topic)s ORDER BY partition FOR UPDATE",
        {"topic": topic},
    )
    return dict(rows)


def reset(conn: Connection, topic: str, offsets: Mapping[int, int], topic_id: str | None) -> None:
    """Put positions elsewhere (partition → next offset), and fence every batch that was read before."""
    conn.execute(
        """
        UPDATE positions p
           SET next_offset = o.next_offset, topic_id = coalesce(%(topic_id)s, p.topic_id), owner = NULL, member = NULL,
               moved_at = clock_timestamp()
          FROM unnest(%(partitions)s::int[], %(offsets)s::bigint[]) AS o (partition, next_offset)
         WHERE p.topic = %(topic)s AND p.partition = o.partition
        """,
        {
            "topic": topic,
            "topic_id": topic_id,
            "partitions": list(offsets),
            "offsets": list(offsets.values()),
        },
    )


def topics(conn: Connection) -> set[str]:
    """The topics that have positions."""
    return {row[0] for row in conn.execute("SELECT DISTINCT topic FROM positions")}


def last_records(conn: Connection, topic: str) -> dict[int, datetime | None]:
    """Partition → the time of the last record that was projected."""
    rows = conn.execute("SELECT partition, record_at FROM positions WHERE topic = %(topic)s", {"topic": topic})
    return dict(rows)
