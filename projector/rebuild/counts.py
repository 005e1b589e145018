"""Numbers about view and shadow that a run needs or reports. Every function takes a connection to the view."""

from collections.abc import Collection

from projector.postgres.connection import Connection


def count_view_rows(conn: Connection) -> int:
    """How many rows the view has."""
    row = conn.execute("SELECT count(*) FROM delegations").fetchone()
    return int(row[0]) if row else 0


def count_delegations(conn: Connection, *, every: int, only: Collection[str]) -> int:
    """How many delegations the source has: rows that it made, and delegations with nothing but parked events.

    `every` selects one id in `every`, and `only` these ids if it is not empty.
    """
    row = conn.execute(
        """
        SELECT count(*) FROM (
            SELECT delegation_id FROM projector_shadow.delegations WHERE NOT projector_carried_over
            UNION ALL
            SELECT DISTINCT delegation_id FROM projector_shadow.parked p
             WHERE NOT EXISTS (SELECT FROM projector_shadow.delegations s WHERE s.delegation_id = p.delegation_id)
        ) AS source
         WHERE ('x' || left(md5(delegation_id), 8))::bit(32)::bigint %% %(every)s = 0
           AND (%(all)s OR delegation_id = ANY(%(only)s))
        """,
        {"every": every, "all": not only, "only": list(only)},
    ).fetchone()
    return int(row[0]) if row else 0


def unknown(conn: Connection, ids: Collection[str]) -> list[str]:
    """Those of these delegations that neither the view nor the source has."""
    rows = conn.execute(
        """
        SELECT id FROM unnest(%(ids)s::text[]) AS id
         WHERE NOT EXISTS (SELECT FROM delegations WHERE delegation_id = id)
           AND NOT EXISTS (SELECT FROM projector_shadow.delegations WHERE delegation_id = id)
           AND NOT EXISTS (SELECT FROM parked WHERE delegation_id = id)
           AND NOT EXISTS (SELECT FROM projector_shadow.parked WHERE delegation_id = id)
           AND NOT EXISTS (SELECT FROM repeated_requests WHERE delegation_id = id)
           AND NOT EXISTS (SELECT FROM projector_shadow.repeated_requests WHERE delegation_id = id)
         ORDER BY id
        """,
        {"ids": list(ids)},
    )
    return [row[0] for row in rows]


def count_dead_letters(conn: Connection) -> int:
    """How many records of the source could not be read."""
    row = conn.execute("SELECT count(*) FROM projector_shadow.dead_letters").fetchone()
    return int(row[0]) if row else 0


def count_pruned(conn: Connection) -> int:
    """How many delegations were pruned."""
    row = conn.execute("SELECT count(*) FROM projector.pruned").fetchone()
    return int(row[0]) if row else 0
