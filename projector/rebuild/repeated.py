"""Repeated requests in view and shadow. They decide nothing, so they are no drift: what the view lacks is added."""

from collections.abc import Collection, Mapping

from projector.postgres.connection import Connection


def carry_over(conn: Connection, topic: str, beginnings: Mapping[int, int]) -> None:
    """Copy the view's repeated requests whose records are not in the log (`beginnings`: partition → first offset)."""
    conn.execute(
        """
        INSERT INTO projector_shadow.repeated_requests
        SELECT r.* FROM repeated_requests r
          LEFT JOIN unnest(%(partitions)s::int[], %(beginnings)s::bigint[]) AS log (partition, beginning)
               ON r.topic = %(topic)s AND r.partition = log.partition
         WHERE log.beginning IS NULL OR r."offset" < log.beginning
        """,
        {"topic": topic, "partitions": list(beginnings), "beginnings": list(beginnings.values())},
    )


def count_missing(conn: Connection, *, every: int, only: Collection[str]) -> int:
    """How many repeated requests of the log the view has not remembered.

    `every` selects one id in `every`, and `only` these ids if it is not empty. A request whose delegation has a row in
    the view, or whose holder has none, was not repeated there.
    """
    row = conn.execute(
        """
        SELECT count(*)
          FROM projector_shadow.repeated_requests s JOIN delegations h ON h.delegation_id = s.holder_id
         WHERE NOT EXISTS (SELECT FROM repeated_requests r WHERE r.delegation_id = s.delegation_id)
           AND NOT EXISTS (SELECT FROM delegations d WHERE d.delegation_id = s.delegation_id)
           AND ('x' || left(md5(s.delegation_id), 8))::bit(32)::bigint %% %(every)s = 0
           AND (%(all)s OR s.delegation_id = ANY(%(only)s))
        """,
        {"every": every, "all": not only, "only": list(only)},
    ).fetchone()
    return int(row[0]) if row else 0


def write(conn: Connection, *, only: Collection[str]) -> int:
    """Make those of the candidates equal to the shadow's, and add what the view lacks; return how many were added."""
    conn.execute(
        """
        DELETE FROM repeated_requests r USING projector_shadow.suspects c
         WHERE c.delegation_id = r.delegation_id AND NOT EXISTS (
               SELECT FROM projector_shadow.repeated_requests s
                WHERE (s.delegation_id, s.holder_id, s.topic, s.partition, s."offset")
                    = (r.delegation_id, r.holder_id, r.topic, r.partition, r."offset"))
        """
    )
    return conn.execute(
        """
        INSERT INTO repeated_requests
        SELECT s.* FROM projector_shadow.repeated_requests s JOIN delegations h ON h.delegation_id = s.holder_id
         WHERE NOT EXISTS (SELECT FROM delegations d WHERE d.delegation_id = s.delegation_id)
           AND (%(all)s OR s.delegation_id = ANY(%(only)s))
         ORDER BY s.delegation_id
        ON CONFLICT DO NOTHING
        """,
        {"all": not only, "only": list(only)},
    ).rowcount
