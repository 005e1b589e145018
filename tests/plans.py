"""Helper for tests of query plans: the plans of the statements that a function runs."""

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql


def plans(conn: psycopg.Connection[Any], run: Callable[[], object]) -> str:
    """Call `run`, and return the plans of its statements on `conn` with their parameters."""
    executed: list[tuple[Any, Any]] = []

    class Noting(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            executed.append((query, params))
            return super().execute(query, params, **options)

    original, conn.cursor_factory = conn.cursor_factory, Noting
    try:
        run()
    finally:
        conn.cursor_factory = original
    cursor = psycopg.ClientCursor(conn)
    lines = [
        line for query, params in executed for (line,) in cursor.execute(sql.SQL("EXPLAIN ") + sql.SQL(query), params)
    ]
    return "\n".join(lines)
