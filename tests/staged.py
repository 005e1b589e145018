"""The stage of the fault tests of the sweeper and of the push: a platform with its table, its feed, and a cluster."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from stage import Stage

from projector.postgres import migrations
from testbed.servers.start import Postgres, start_postgres


@pytest.fixture(scope="session")
def logical_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server that a feed can read; the shared one does not write what a feed needs."""
    options = ["wal_level=logical", "max_replication_slots=50", "max_connections=300", "fsync=off"]
    with start_postgres(tmp_path_factory.mktemp("platform"), options=options, own=True) as server:
        yield server


@pytest.fixture
def platform_url(logical_postgres: Postgres) -> Iterator[str]:
    """An empty database that a feed can read."""
    name = f"stage_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(logical_postgres.url, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield make_conninfo(logical_postgres.url, dbname=name)
    with psycopg.connect(logical_postgres.url, autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def stage(platform_url: str, kafka: str, topic: str, tmp_path: Path) -> Iterator[Stage]:
    """A database with the view and the platform's tables, and a feed from it to the topic, which runs."""
    with psycopg.connect(platform_url) as conn:
        migrations.up(conn)
    stage = Stage(platform_url, kafka, topic, tmp_path)
    yield stage
    stage.end()


@pytest.fixture
def stage_of_two(database_url: str, platform_url: str, kafka: str, topic: str, tmp_path: Path) -> Iterator[Stage]:
    """As `stage`, but the view is on another server than the platform's tables."""
    stage = Stage(database_url, kafka, topic, tmp_path, activity_url=platform_url)
    yield stage
    stage.end()
