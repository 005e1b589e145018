"""The stored positions: how far each partition is projected, and which member owns it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from projector.domain.positions import Position, require_no_log_gap
from projector.postgres.connection import Connection


class Claim(NamedTuple):
    """What a member claims. `beginning` is the partition's first offset: it counts if no position is stored."""

    topic: str
    partition: int
    token: UUID
    topic_id: str | None
    beginning: int
    generation: int | None
    member: str
    group_id: str


class Owner(NamedTuple):
    """Who owns a position. `group_id` is None if a member of a release before it was stored claimed it."""

    token: UUID
    member: str
    group_id: str | None


def claim(conn: Connection, wanted: Claim) -> int | None:
    """Take ownership of a partition. Returns the next offset to project, or None if another transaction locks the row.

    Raises LogGap if the topic was deleted and created again: its offsets then belong to other records.
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
    position = Position(wanted.topic, wanted.partition, *row)
    require_no_log_gap(position, wanted.topic_id, None)
    conn.execute(
        """
        UPDATE positions
           SET owner = %(token)s, topic_id = coalesce(%(topic_id)s, topic_id), generation = %(generation)s,
               member = %(member)s, group_id = %(group_id)s, claimed_at = clock_timestamp()
         WHERE topic = %(topic)s AND partition = %(partition)s
        """,
        place,
    )
    return position.offset


def release(conn: Connection, token: UUID) -> None:
    """Clear the owner of this token's positions, for `status`. Another member can claim them either way."""
    conn.execute(
        "UPDATE positions SET owner = NULL, member = NULL, group_id = NULL WHERE owner = %(token)s", {"token": token}
    )


def read(conn: Connection, topic: str) -> dict[int, Position]:
    """Partition → its position."""
    rows = conn.execute(
        "SELECT topic, partition, next_offset, topic_id, record_at FROM positions WHERE topic = %(topic)s",
        {"topic": topic},
    )
    return {row[1]: Position._make(row) for row in rows}


def owned(conn: Connection, topic: str, token: UUID) -> dict[int, int]:
    """Partition → the next offset to project, of those that this token owns."""
    rows = conn.execute(
        "SELECT partition, next_offset FROM positions WHERE topic = %(topic)s AND owner = %(token)s",
        {"topic": topic, "token": token},
    )
    return dict(rows)


def owners(conn: Connection, topic: str) -> dict[int, Owner]:
    """Partition → the member that claimed it last, of those that were not released or reset since."""
    rows = conn.execute(
        "SELECT partition, owner, member, group_id FROM positions WHERE topic = %(topic)s AND member IS NOT NULL",
        {"topic": topic},
    )
    return {partition: Owner(*owner) for partition, *owner in rows}


def lock(conn: Connection, topic: str) -> dict[int, int]:
    """Block every batch at its fence until this transaction ends. Returns partition → next offset."""
    rows = conn.execute(
        "SELECT partition, next_offset FROM positions WHERE topic = %(topic)s ORDER BY partition FOR UPDATE",
        {"topic": topic},
    )
    return dict(rows)


def reset(conn: Connection, topic: str, offsets: Mapping[int, int], topic_id: str | None) -> None:
    """Set positions (partition → next offset), and fence every batch that was read before.

    The push of a topic that was created again counts from its beginning: the offsets that it had stored are gone.
    """
    conn.execute(
        """
        DELETE FROM push_from
         WHERE topic = %(topic)s
           AND EXISTS (SELECT FROM positions p WHERE p.topic = %(topic)s AND p.topic_id <> %(topic_id)s)
        """,
        {"topic": topic, "topic_id": topic_id},
    )
    conn.execute(
        """
        UPDATE positions p
           SET next_offset = o.next_offset, topic_id = coalesce(%(topic_id)s, p.topic_id), owner = NULL, member = NULL,
               group_id = NULL, moved_at = clock_timestamp()
          FROM unnest(%(partitions)s::int[], %(offsets)s::bigint[]) AS o (partition, next_offset)
         WHERE p.topic = %(topic)s AND p.partition = o.partition
        """,
        {"topic": topic, "topic_id": topic_id, "partitions": list(offsets), "offsets": list(offsets.values())},
    )


def topics(conn: Connection) -> set[str]:
    """The topics with positions."""
    return {row[0] for row in conn.execute("SELECT DISTINCT topic FROM positions")}


def moved_topics(conn: Connection, within: timedelta) -> set[str]:
    """The topics of which a position moved within this time."""
    rows = conn.execute(
        "SELECT DISTINCT topic FROM positions WHERE moved_at > clock_timestamp() - %(within)s", {"within": within}
    )
    return {row[0] for row in rows}
