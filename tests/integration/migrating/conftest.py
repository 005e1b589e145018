"""Databases that hold nothing yet: the other tests start from a migrated template."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import Connection

Shape = dict[str, list[tuple[object, ...]]]


@pytest.fixture
def empty(empty_url: str) -> Iterator[Connection]:
    with psycopg.connect(empty_url, autocommit=True) as conn:
        yield conn


@pytest.fixture
def shape(empty: Connection) -> Callable[[], Shape]:
    """Whatever the catalog says about everything that somebody made in the database."""

    def read() -> Shape:
        return {
            "schemas": empty.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1").fetchall(),
            "columns": empty.execute(COLUMNS).fetchall(),
            "indexes": empty.execute(
                "SELECT indexdef FROM pg_indexes WHERE schemaname !~ '^(pg_|information_)' ORDER BY 1"
            ).fetchall(),
            "constraints": empty.execute(
                "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
                "WHERE connamespace::regnamespace::text !~ '^(pg_|information_)' ORDER BY 1, 2"
            ).fetchall(),
            "relations": empty.execute(
                "SELECT oid::regclass::text, relkind, relpersistence, reloptions, obj_description(oid, 'pg_class') "
                "FROM pg_class WHERE relnamespace::regnamespace::text !~ '^(pg_|information_)' ORDER BY 1"
            ).fetchall(),
        }

    return read


COLUMNS = """
    SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
           pg_get_expr(adbin, adrelid)
    FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attnum > 0 AND relkind = 'r' AND relnamespace::regnamespace::text !~ '^(pg_|information_)'
    ORDER BY 1, attnum"""
