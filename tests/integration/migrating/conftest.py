"""An empty database, and one with the finished schema."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import Connection, sql
from psycopg.conninfo import make_conninfo

from migrating import platform_table
from projector.postgres import migrations
from testbed.servers.start import Postgres

Catalog = dict[str, list[tuple[object, ...]]]

EMPTY = """
    SET client_min_messages = warning;  -- CASCADE lists everything that it drops
    DO $$
    DECLARE
        name text;
    BEGIN
        FOR name IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_)' LOOP
            EXECUTE format('DROP SCHEMA %I CASCADE', name);
        END LOOP;
        CREATE SCHEMA public;
        GRANT USAGE ON SCHEMA public TO PUBLIC;
    END $$
"""


@contextmanager
def new_database(postgres: Postgres) -> Iterator[str]:
    name = f"scratch_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres.url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        yield make_conninfo(postgres.url, dbname=name)
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def scratch_url(postgres: Postgres) -> Iterator[str]:
    """One database for all tests that migrate: to empty it takes less time than to create another one."""
    with new_database(postgres) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_url(postgres: Postgres) -> Iterator[str]:
    """One database for all tests that read the finished schema."""
    with new_database(postgres) as url:
        with psycopg.connect(url) as conn:
            migrations.up(conn)
        yield url


@pytest.fixture
def migrated(migrated_url: str) -> Iterator[Connection]:
    """A connection to the finished schema; what the test writes is rolled back."""
    with psycopg.connect(migrated_url) as conn, conn.transaction(force_rollback=True):
        yield conn


@pytest.fixture
def empty_url(scratch_url: str) -> str:
    """The database with an empty schema `public` and nothing else."""
    with psycopg.connect(scratch_url, autocommit=True) as conn:
        conn.execute(EMPTY)
    return scratch_url


@pytest.fixture
def empty(empty_url: str) -> Iterator[Connection]:
    with psycopg.connect(empty_url, autocommit=True) as conn:
        yield conn


@pytest.fixture
def existing(empty: Connection) -> Connection:
    """A database in which the platform has created its table `delegations`, with one row."""
    empty.execute(platform_table.TABLE)
    return empty


@pytest.fixture
def catalog(empty: Connection) -> Callable[[], Catalog]:
    """Read what the catalog holds about every schema, table, column, index and constraint in the database."""

    def read() -> Catalog:
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
    WHERE attnum > 0 AND NOT attisdropped AND relkind = 'r'
      AND relnamespace::regnamespace::text !~ '^(pg_|information_)'
    ORDER BY 1, attnum"""
