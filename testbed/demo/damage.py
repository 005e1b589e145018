"""What a person with psql does to a view at 2 a.m.: one row edited, one removed, one moved back, one made up."""

from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]


def damage(conn: Connection) -> None:
    """Damage the view, four rows in all, each in another way."""
    with conn.transaction():
        conn.execute(
            """
            UPDATE delegations SET task_preview = 'somebody was here'
             WHERE delegation_id = (SELECT min(delegation_id) FROM delegations)
            """
        )
        conn.execute("DELETE FROM delegations WHERE delegation_id = (SELECT max(delegation_id) FROM delegations)")
        conn.execute(
            """
            UPDATE delegations SET status = 'dispatched'
             WHERE delegation_id = (SELECT max(delegation_id) FROM delegations WHERE status = 'completed')
            """
        )
        conn.execute(
            """
            INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview)
            VALUES ('made-up', gen_random_uuid(), gen_random_uuid(), 'nobody asked for this')
            """
        )
