"""Damages the view as a person with psql could: one row edited, one deleted, one set back, one invented."""

from typing import Any, LiteralString

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]

ORDINARY: LiteralString = "delegation_id ~ '^[0-9a-f-]{36}$'"
"""Is a plain uuid. Damaged rows with odd ids would look as if their ids were the damage."""


def damage(conn: Connection) -> None:
    """Damage four rows of the view, each in another way."""
    with conn.transaction():
        conn.execute(
            f"""
            UPDATE delegations SET task_preview = 'edited by hand'
             WHERE delegation_id = (SELECT min(delegation_id) FROM delegations WHERE {ORDINARY})
            """
        )
        conn.execute(
            f"""
            DELETE FROM delegations
             WHERE delegation_id = (SELECT max(delegation_id) FROM delegations WHERE {ORDINARY})
            """
        )
        conn.execute(
            f"""
            UPDATE delegations SET status = 'dispatched' WHERE delegation_id =
              (SELECT max(delegation_id) FROM delegations WHERE status = 'completed' AND {ORDINARY})
            """
        )
        conn.execute(
            """
            INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview)
            VALUES ('invented', gen_random_uuid(), gen_random_uuid(), 'no request of the platform')
            """
        )
