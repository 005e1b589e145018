"""How many rows the tables of a migration have: what its `down` would destroy. Table → rows."""

from typing import Any

from psycopg import Connection
from psycopg.rows import tuple_row


def of_projector(conn: Connection[Any]) -> dict[str, int]:
    """The tables of migration 050."""
    counts = conn.cursor(row_factory=tuple_row).execute("""
        SELECT 'projector.positions', count(*) FROM projector.positions
        UNION ALL SELECT 'projector.parked', count(*) FROM projector.parked
        UNION ALL SELECT 'projector.dead_letters', count(*) FROM projector.dead_letters
        UNION ALL SELECT 'projector.large_rows', count(*) FROM projector.large_rows""")
    return dict(counts)


def of_push(conn: Connection[Any]) -> dict[str, int]:
    """The tables of migration 055."""
    counts = conn.cursor(row_factory=tuple_row).execute("""
        SELECT 'projector.push', count(*) FROM projector.push
        UNION ALL SELECT 'projector.push_from', count(*) FROM projector.push_from
        UNION ALL SELECT 'projector.ends', count(*) FROM projector.ends
        UNION ALL SELECT 'projector.outbox', count(*) FROM projector.outbox""")
    return dict(counts)


def of_pruning(conn: Connection[Any]) -> dict[str, int]:
    """The tables of migration 057."""
    counts = conn.cursor(row_factory=tuple_row).execute("""
        SELECT 'projector.pruned', count(*) FROM projector.pruned
        UNION ALL SELECT 'projector.erased', count(*) FROM projector.erased""")
    return dict(counts)
