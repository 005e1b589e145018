"""Helper for tests of query plans: the plans of the statements that a function runs, and how many rows they read."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from psycopg import sql


def plans(conn: psycopg.Connection[Any], run: Callable[[], object]) -> str:
    """Call `run`, and return the plans of its statements on `conn` with their parameters."""
    cursor = psycopg.ClientCursor(conn)
    lines = [line for query, params in _executed(conn, run) for (line,) in cursor.execute(_explain("", query), params)]
    return "\n".join(lines)


def rows_read(conn: psycopg.Connection[Any], run: Callable[[], object], table: str) -> int:
    """Call `run`, and return the largest number of rows of a table that one scan of its statements reads."""
    cursor = psycopg.ClientCursor(conn)
    read = 0
    for query, params in _executed(conn, run):
        [[[found]]] = cursor.execute(_explain("(ANALYZE, TIMING OFF, FORMAT JSON) ", query), params).fetchall()
        scans = (node for node in _nodes(found["Plan"]) if node.get("Relation Name") == table)
        read = max([read, *(_read(node) for node in scans)])
    return read


def _read(node: dict[str, Any]) -> int:
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int(node["Actual Loops"] * (node["Actual Rows"] + removed))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)


def _explain(options: str, query: Any) -> sql.Composed:
    return sql.SQL("EXPLAIN ") + sql.SQL(options) + sql.SQL(query)


def _executed(conn: psycopg.Connection[Any], run: Callable[[], object]) -> list[tuple[Any, Any]]:
    executed: list[tuple[Any, Any]] = []

    class Noting(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            if not query.lstrip().startswith("SET "):
                executed.append((query, params))
            return super().execute(query, params, **options)

    original, conn.cursor_factory = conn.cursor_factory, Noting
    try:
        run()
    finally:
        conn.cursor_factory = original
    return executed
