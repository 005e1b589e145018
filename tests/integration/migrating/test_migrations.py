"""The engine of `projector migrate`: one at a time, one transaction a file, nothing lost unasked."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import Connection, sql

from migrating.conftest import Shape
from projector.errors import Misconfigured, ProjectorError, Unavailable
from projector.postgres import migrations

FILL = """
    INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview)
        SELECT id, gen_random_uuid(), gen_random_uuid(), 'sum' FROM unnest(ARRAY['d1', 'd2']) AS id;
    INSERT INTO projector.positions (topic, partition, next_offset) VALUES ('t', 0, 7);
    INSERT INTO projector.parked (topic, partition, "offset", delegation_id, kind, at)
        VALUES ('t', 0, 3, 'd9', 'heartbeat', now());
    INSERT INTO projector.dead_letters (topic, partition, "offset", value, reason) VALUES ('t', 0, 4, '', 'empty');
    INSERT INTO projector.large_rows VALUES (gen_random_uuid(), 'd1')
"""
FILL_SHADOW = """
    INSERT INTO projector_shadow.delegations SELECT * FROM delegations;
    INSERT INTO projector_shadow.positions SELECT * FROM projector.positions;
    INSERT INTO projector_shadow.large_rows SELECT * FROM projector.large_rows;
    INSERT INTO projector_shadow.suspects VALUES ('d1');
    INSERT INTO projector_shadow.work (source, owner, coverage, carried_over) VALUES ('topic t', 'here/1', '{}', 0)
"""
EVERY = ["049_delegations", "050_projector", "051_shadow"]
OWN = ("projector.positions", "projector.parked", "projector.dead_letters", "projector.large_rows")
OWN_SCHEMAS_FIRST = ("projector,public", "projector_shadow,projector,public")

WAITING_LONGER = """
    SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database
    WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()
      AND waitstart < clock_timestamp() - interval '200 ms'
"""


def names(applied: list[migrations.Migration]) -> list[str]:
    return [migration.name for migration in applied]


def count(conn: Connection, table: str) -> int:
    [found] = conn.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*table.split(".")))).fetchall()
    return int(found[0])


def test_up_applies_what_is_pending_in_order_and_then_nothing(empty: Connection) -> None:
    assert names(migrations.up(empty)) == EVERY
    assert migrations.up(empty) == []
    assert migrations.status(empty) == migrations.SchemaStatus(applied=migrations.known(), pending=[], adopted=False)


def test_five_at_once_apply_each_migration_once(empty_url: str) -> None:
    together = threading.Barrier(5)

    def migrate(_: int) -> list[str]:
        with psycopg.connect(empty_url) as conn:
            together.wait()
            return names(migrations.up(conn))

    with ThreadPoolExecutor(5) as pool:
        assert sorted(pool.map(migrate, range(5))) == [[], [], [], [], EVERY]


def test_who_comes_second_waits_whatever_its_time_outs(empty: Connection, empty_url: str) -> None:
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
        assert second.result() == EVERY


def test_the_lock_is_free_again_after_success_and_after_failure(empty: Connection) -> None:
    migrations.up(empty)
    with pytest.raises(Misconfigured):
        migrations.down(empty, to=7)
    held = "SELECT * FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    assert empty.execute(held).fetchall() == []


def test_a_connection_without_autocommit_is_committed_and_left_idle(empty: Connection, empty_url: str) -> None:
    with psycopg.connect(empty_url, autocommit=False) as conn:
        migrations.up(conn)
        assert conn.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        assert migrations.status(empty).pending == []


def test_a_connection_within_a_transaction_is_turned_away(empty: Connection) -> None:
    with empty.transaction(), pytest.raises(ValueError, match="outside of any"):
        migrations.up(empty)


def test_up_down_up_makes_the_same_catalog(empty: Connection, shape: Callable[[], Shape]) -> None:
    migrations.up(empty)
    first = shape()
    assert names(migrations.down(empty)) == EVERY[::-1]
    migrations.up(empty)
    assert shape() == first


def test_down_leaves_nothing(empty: Connection, shape: Callable[[], Shape]) -> None:
    before = shape()
    migrations.up(empty)
    assert shape() != before
    migrations.down(empty)
    assert shape() == before
    assert migrations.down(empty) == []


@pytest.mark.parametrize(("to", "kept"), [(49, 1), (50, 2), (51, 3)])
def test_down_to_a_version_keeps_that_version(
    empty: Connection, shape: Callable[[], Shape], to: int, kept: int
) -> None:
    migrations.up(empty)
    whole = shape()
    assert names(migrations.down(empty, to=to)) == EVERY[kept:][::-1]
    assert names(migrations.status(empty).applied) == EVERY[:kept]
    assert [migrations.down(empty, to=above) for above in (49, 50, 51) if above >= to] == [[]] * (4 - kept)
    assert names(migrations.up(empty)) == EVERY[kept:]
    assert shape() == whole


def test_down_to_50_leaves_nothing_of_the_shadow_and_touches_nothing_else(
    empty: Connection, shape: Callable[[], Shape]
) -> None:
    migrations.up(empty)
    empty.execute(FILL)
    whole = shape()
    migrations.down(empty, to=50)
    assert shape() == {kind: [row for row in rows if "shadow" not in f"{row}"] for kind, rows in whole.items()}
    assert {table: count(empty, table) for table in OWN} == dict.fromkeys(OWN, 1)
    assert count(empty, "delegations") == 2


@pytest.mark.parametrize("to", [-1, 7, 52])
def test_down_to_no_version_of_ours_is_refused(empty: Connection, to: int) -> None:
    migrations.up(empty)
    with pytest.raises(Misconfigured, match=rf"no version {to} to go down to: there are 49, 50, 51, and 0 for none"):
        migrations.down(empty, to=to)
    assert migrations.status(empty).pending == []


def test_what_down_would_destroy_is_known_before(empty: Connection) -> None:
    migrations.up(empty)
    assert migrations.rows_to_be_lost(empty) == {}
    empty.execute(FILL)
    own = dict.fromkeys(OWN, 1)
    assert migrations.rows_to_be_lost(empty) == own | {"delegations": 2}
    assert migrations.rows_to_be_lost(empty, to=49) == own
    assert migrations.rows_to_be_lost(empty, to=50) == {}
    assert migrations.rows_to_be_lost(empty, to=51) == {}


def test_a_shadow_is_never_at_stake_however_much_it_holds(empty: Connection) -> None:
    migrations.up(empty)
    empty.execute(FILL)
    before = migrations.rows_to_be_lost(empty)
    empty.execute(FILL_SHADOW)
    assert migrations.rows_to_be_lost(empty) == before
    assert migrations.rows_to_be_lost(empty, to=50) == {}
    migrations.down(empty, to=50)
    assert migrations.rows_to_be_lost(empty) == before


def test_every_table_but_the_shadows_is_among_what_is_at_stake(empty: Connection, shape: Callable[[], Shape]) -> None:
    migrations.up(empty)
    empty.execute(FILL)
    tables = {f"{name}" for name, kind, *_ in shape()["relations"] if kind == "r"}
    shadows = {name for name in tables if name.startswith("projector_shadow.")}
    assert len(shadows) == 7
    assert set(migrations.rows_to_be_lost(empty)) == tables - shadows - {"projector_schema_migrations"}


def test_a_failing_file_leaves_the_ones_before_it_and_nothing_of_its_own(empty: Connection) -> None:
    empty.execute("CREATE SCHEMA projector")
    empty.execute("CREATE TABLE projector.dead_letters ()")
    with pytest.raises(ProjectorError, match=r'050_projector\.up\.sql: relation "dead_letters" already exists'):
        migrations.up(empty)
    assert names(migrations.status(empty).pending) == ["050_projector", "051_shadow"]
    assert empty.execute("SELECT to_regclass('projector.positions')").fetchone() == (None,)


@pytest.mark.parametrize(
    ("schema", "file"), [("projector", "050_projector.down.sql"), ("projector_shadow", "051_shadow.down.sql")]
)
def test_down_takes_nothing_of_others_with_the_schema(
    empty: Connection, shape: Callable[[], Shape], schema: str, file: str
) -> None:
    version = int(file[:3])
    migrations.up(empty)
    migrations.down(empty, to=version)
    empty.execute(sql.SQL("CREATE VIEW {}.somebodys AS SELECT 1 AS one").format(sql.Identifier(schema)))
    before = shape()
    with pytest.raises(Misconfigured) as refusal:
        migrations.down(empty, to=version - 1)
    assert str(refusal.value).startswith(
        f"{file}: the schema {schema} holds what the projector did not make, move it first: view {schema}.somebodys"
    )
    assert shape() == before
    assert migrations.status(empty).applied[-1].version == version


def test_what_others_built_on_the_shadow_stops_its_down(empty: Connection, shape: Callable[[], Shape]) -> None:
    migrations.up(empty)
    empty.execute("CREATE VIEW somebodys AS SELECT delegation_id FROM projector_shadow.delegations")
    before = shape()
    with pytest.raises(ProjectorError, match=r"051_shadow\.down\.sql: .*projector_shadow\.delegations.*rolled back"):
        migrations.down(empty)
    assert shape() == before


def test_schemas_made_beforehand_for_a_role_without_rights_are_used(empty: Connection) -> None:
    role = sql.Identifier(f"role_{uuid.uuid4().hex[:12]}")
    empty.execute(sql.SQL("CREATE ROLE {}").format(role))
    try:
        empty.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(role))
        empty.execute(sql.SQL("SET ROLE {}").format(role))
        with pytest.raises(Misconfigured, match=r"050_projector\.up\.sql: permission denied .* Use a role that may"):
            migrations.up(empty)
        empty.execute("RESET ROLE")
        assert names(migrations.status(empty).applied) == ["049_delegations"]
        for schema in ("projector", "projector_shadow"):
            empty.execute(sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}").format(sql.Identifier(schema), role))
        empty.execute(sql.SQL("SET ROLE {}").format(role))
        assert names(migrations.up(empty)) == ["050_projector", "051_shadow"]
        empty.execute(FILL)
        empty.execute(FILL_SHADOW)
        assert names(migrations.down(empty)) == EVERY[::-1]
    finally:
        empty.execute("RESET ROLE")
        empty.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(role))


@pytest.mark.parametrize("path", OWN_SCHEMAS_FIRST)
def test_a_session_that_looks_into_the_projectors_schemas_first_migrates_alike(
    empty: Connection, empty_url: str, shape: Callable[[], Shape], path: str
) -> None:
    migrations.up(empty)
    empty.execute(FILL)
    whole = shape()
    with psycopg.connect(empty_url, options=f"-c search_path={path}") as conn:
        assert migrations.up(conn) == []
        assert migrations.status(conn) == migrations.status(empty)
        assert migrations.rows_to_be_lost(conn) == migrations.rows_to_be_lost(empty)
        migrations.down(conn, to=49)
        migrations.up(conn)
        migrations.down(conn)
    with psycopg.connect(empty_url, options=f"-c search_path={path}") as conn:
        migrations.up(conn)
        assert shape() == whole
        assert conn.execute("SHOW search_path").fetchone() == (path,)


@pytest.mark.parametrize("path", OWN_SCHEMAS_FIRST)
def test_the_view_is_never_made_among_the_projectors_own_tables(empty: Connection, empty_url: str, path: str) -> None:
    empty.execute("CREATE SCHEMA projector; CREATE SCHEMA projector_shadow")
    with psycopg.connect(empty_url, options=f"-c search_path={path}") as conn:
        migrations.up(conn)
    found = empty.execute(
        "SELECT tablename, schemaname FROM pg_tables "
        "WHERE tablename IN ('delegations', 'projector_schema_migrations') ORDER BY 1, 2"
    )
    assert found.fetchall() == [
        ("delegations", "projector_shadow"),
        ("delegations", "public"),
        ("projector_schema_migrations", "public"),
    ]


def test_the_view_is_made_in_the_current_schema(empty: Connection, empty_url: str) -> None:
    empty.execute("CREATE SCHEMA platform")
    with psycopg.connect(empty_url, options="-c search_path=platform") as conn:
        migrations.up(conn)
        migrations.require_current(conn)
    found = empty.execute(
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('platform', 'public') ORDER BY 2"
    )
    assert found.fetchall() == [("platform", "delegations"), ("platform", "projector_schema_migrations")]


def test_nowhere_to_put_the_tables_is_said(empty_url: str) -> None:
    with (
        psycopg.connect(empty_url, options="-c search_path=nowhere") as conn,
        pytest.raises(Misconfigured, match="names no schema that exists"),
    ):
        migrations.up(conn)


def test_looking_changes_nothing(empty: Connection, shape: Callable[[], Shape]) -> None:
    before = shape()
    assert migrations.status(empty) == migrations.SchemaStatus(applied=[], pending=migrations.known(), adopted=False)
    assert migrations.rows_to_be_lost(empty) == {}
    assert shape() == before


def test_a_schema_that_is_behind_names_the_command(empty: Connection) -> None:
    with pytest.raises(
        Misconfigured, match=r"lacks 049_delegations, 050_projector, 051_shadow: run `projector migrate up`"
    ):
        migrations.require_current(empty)
    migrations.up(empty)
    migrations.require_current(empty)
    migrations.down(empty, to=50)
    with pytest.raises(Misconfigured, match=r"lacks 051_shadow: run `projector migrate up`"):
        migrations.require_current(empty)
    migrations.down(empty, to=49)
    with pytest.raises(Misconfigured, match=r"lacks 050_projector, 051_shadow: run `projector migrate up`"):
        migrations.require_current(empty)


def test_a_server_that_goes_away_is_unavailable_not_a_bug(empty: Connection, empty_url: str) -> None:
    with psycopg.connect(empty_url, autocommit=True) as conn:
        empty.execute("SELECT pg_terminate_backend(%(pid)s, 5000)", {"pid": conn.info.backend_pid})
        with pytest.raises(Unavailable):
            migrations.up(conn)
