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
def stage(logical_postgres: Postgres, kafka: str, topic: str, tmp_path: Path) -> Iterator[Stage]:
    """A database with the view and the platform's tables, and a feed from it to the topic, which runs."""
    name = f"stage_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(logical_postgres.url, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = make_conninfo(logical_postgres.url, dbname=name)
    with psycopg.connect(url) as conn:
        migrations.up(conn)
    stage = Stage(url, kafka, topic, tmp_path)
    yield stage
    stage.end()
    with psycopg.connect(logical_postgres.url, autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
