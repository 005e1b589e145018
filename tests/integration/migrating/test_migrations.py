"""The engine of `projector migrate`: one caller at a time, one transaction per file."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import Connection

from migrating.conftest import Catalog
from migrating.contents import ALL, names
from projector.errors import Misconfigured, ProjectorError, Unavailable
from projector.postgres import migrations
from projector.postgres.migration_files import available

WAITING_LONGER = """
    SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database
    WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
      AND waitstart < clock_timestamp() - interval '200 ms'
"""
"""Whether a session has waited for an advisory lock longer than any timeout of these tests."""


def test_up_applies_pending_migrations_in_order(empty: Connection) -> None:
    assert names(migrations.up(empty)) == ALL
    assert migrations.up(empty) == []
    assert migrations.status(empty) == migrations.SchemaStatus(available(), pending=[], adopted=False)


def test_five_callers_apply_each_migration_once(empty_url: str) -> None:
    together = threading.Barrier(5)

    def migrate(_: int) -> list[str]:
        with psycopg.connect(empty_url) as conn:
            together.wait()
            return names(migrations.up(conn))

    with ThreadPoolExecutor(5) as pool:
        assert sorted(pool.map(migrate, range(5))) == [[], [], [], [], ALL]


def test_second_caller_waits_despite_its_timeouts(empty: Connection, empty_url: str) -> None:
    key = migrations.golang_migrate_lock(empty.info.dbname, "public")
    empty.execute("SELECT pg_advisory_lock(%(key)s)", {"key": key})

    def migrate() -> list[str]:
        with psycopg.connect(empty_url, options="-c lock_timeout=20ms -c statement_timeout=50ms") as conn:
            return names(migrations.up(conn))

    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(migrate)
        while not empty.execute(WAITING_LONGER).fetchone():
            assert not second.done(), second.result()
        empty.execute("SELECT pg_advisory_unlock(%(key)s)", {"key": key})
        assert second.result() == ALL


def test_lock_is_released_after_success_and_failure(empty: Connection) -> None:
    migrations.up(empty)
    with pytest.raises(Misconfigured):
        migrations.down(empty, to=7)
    held = "SELECT * FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    assert empty.execute(held).fetchall() == []


def test_connection_without_autocommit_is_committed_and_idle(empty: Connection, empty_url: str) -> None:
    with psycopg.connect(empty_url, autocommit=False) as conn:
        migrations.up(conn)
        assert conn.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        assert migrations.status(empty).pending == []


def test_connection_inside_a_transaction_is_refused(empty: Connection) -> None:
    with empty.transaction(), pytest.raises(ValueError, match="outside a transaction"):
        migrations.up(empty)


def test_up_down_up_creates_the_same_catalog(empty: Connection, catalog: Callable[[], Catalog]) -> None:
    migrations.up(empty)
    first = catalog()
    assert names(migrations.down(empty)) == ALL[::-1]
    migrations.up(empty)
    assert catalog() == first


def test_failing_file_is_rolled_back_alone(empty: Connection) -> None:
    empty.execute("CREATE SCHEMA projector")
    empty.execute("CREATE TABLE projector.dead_letters ()")
    with pytest.raises(ProjectorError, match=r'050_projector\.up\.sql: relation "dead_letters" already exists'):
        migrations.up(empty)
    assert names(migrations.status(empty).pending) == ALL[1:]
    assert empty.execute("SELECT to_regclass('projector.positions')").fetchone() == (None,)


def test_status_changes_nothing(empty: Connection, catalog: Callable[[], Catalog]) -> None:
    before = catalog()
    assert migrations.status(empty) == migrations.SchemaStatus([], pending=available(), adopted=False)
    assert migrations.rows_to_be_lost(empty) == {}
    assert catalog() == before


def test_outdated_schema_names_the_command_to_run(empty: Connection) -> None:
    with pytest.raises(
        Misconfigured,
        match=r"lacks 049_delegations, .*, 057_pruning: run `projector migrate up`",
    ):
        migrations.require_current(empty)
    migrations.up(empty)
    migrations.require_current(empty)
    migrations.down(empty, to=51)
    with pytest.raises(Misconfigured, match=r"lacks 052_verdicts, .*, 057_pruning: run `projector"):
        migrations.require_current(empty)
    migrations.down(empty, to=49)
    with pytest.raises(Misconfigured, match=r"lacks 050_projector, .*, 057_pruning: run `projector migrate"):
        migrations.require_current(empty)


def test_lost_connection_is_reported_as_unavailable(empty: Connection, empty_url: str) -> None:
    with psycopg.connect(empty_url, autocommit=True) as conn:
        empty.execute("SELECT pg_terminate_backend(%(pid)s, 5000)", {"pid": conn.info.backend_pid})
        with pytest.raises(Unavailable):
            migrations.up(conn)
