"""`projector doctor` and Postgres: each fault is really there, and the SQL that is printed cures it."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from doctoring import NOWHERE, RUN, Role, assert_cured, check, checks, execute, role_without_rights
from psycopg import sql
from psycopg.conninfo import make_conninfo

from projector.doctor.checks import Level
from projector.postgres import migrations
from testbed.servers.pooler import PoolMode, start_pooler
from testbed.servers.start import Postgres


@pytest.fixture
def role(database_url: str) -> Iterator[Role]:
    with role_without_rights(database_url) as role:
        yield role


# --- encoding and defaults


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_database_that_is_not_utf8_must_be_changed(postgres: Postgres, encoding: str) -> None:
    name = f"encoded_{uuid.uuid4().hex[:12]}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LOCALE 'C'")
    with psycopg.connect(postgres.url, autocommit=True) as server:
        server.execute(create.format(sql.Identifier(name), encoding))
    found = checks(database_url=make_conninfo(postgres.url, dbname=name))
    execute(postgres.url, f"DROP DATABASE {name} WITH (FORCE)")
    assert found["encoding"].level is Level.CHANGE
    assert encoding in found["encoding"].found
    assert "ENCODING 'UTF8'" in str(found["encoding"].remedy)
    assert found["schema"].level is Level.CHANGE, "the other checks are made"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("default_transaction_isolation", "repeatable read"),
        ("DateStyle", "German"),
        ("client_encoding", "LATIN1"),
        ("IntervalStyle", "iso_8601"),
        ("TimeZone", "Asia/Tokyo"),
    ],
)
@pytest.mark.parametrize("scope", ["database", "role"])
def test_default_that_sessions_override_is_a_note(role: Role, setting: str, value: str, scope: str) -> None:
    owner = "DATABASE {database}" if scope == "database" else "ROLE {role}"
    role.execute(*RUN, f"ALTER {owner} SET {setting} = '{value}'")
    found = checks(database_url=role.url)["session defaults"]
    assert found.level is Level.NOTE
    assert f"{setting} is {value} (set for {scope} " in found.found


@pytest.mark.parametrize(
    ("setting", "value"), [("default_transaction_read_only", "on"), ("session_replication_role", "replica")]
)
def test_default_that_no_session_overrides_must_be_changed(role: Role, setting: str, value: str) -> None:
    role.execute(*RUN, f"ALTER ROLE {{role}} SET {setting} = '{value}'")
    found = check("session defaults", database_url=role.url)
    assert setting in found.found
    assert_cured("session defaults", role.admin, found, database_url=role.url)


# --- tables


def test_row_level_security_must_be_bypassed(role: Role) -> None:
    role.execute(*RUN, "ALTER TABLE delegations ENABLE ROW LEVEL SECURITY")
    role.execute("ALTER TABLE projector.parked ENABLE ROW LEVEL SECURITY")
    found = check("row-level security", database_url=role.url)
    assert "projector.parked, public.delegations" in found.found
    assert_cured("row-level security", role.admin, found, database_url=role.url)
    assert "bypasses" in check("row-level security", database_url=role.url).found


def test_rule_on_the_view_must_be_dropped(database_url: str) -> None:
    execute(database_url, 'CREATE RULE "our ""rule""" AS ON INSERT TO delegations DO ALSO NOTIFY changed')
    found = check("triggers and rules", database_url=database_url)
    assert 'rule our "rule"' in found.found
    assert_cured("triggers and rules", database_url, found, database_url=database_url)


def test_trigger_on_the_view_is_a_note(database_url: str) -> None:
    execute(
        database_url,
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.updated_at = now(); RETURN NEW; END$$",
        "CREATE TRIGGER set_updated_at BEFORE UPDATE ON delegations FOR EACH ROW EXECUTE FUNCTION touch()",
    )
    found = check("triggers and rules", database_url=database_url)
    assert (found.level, found.found) == (Level.NOTE, "delegations has trigger set_updated_at")


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("DROP TABLE projector_schema_migrations", "the database lacks 049_delegations, 050_projector"),
        ("UPDATE projector_schema_migrations SET version = 51", "the database lacks 052_verdicts"),
        ("UPDATE projector_schema_migrations SET version = 4711", "The database is at schema version 4711"),
        ("UPDATE projector_schema_migrations SET dirty = true", "marked the database as dirty"),
    ],
    ids=["empty", "pending", "newer", "dirty"],
)
def test_schema_of_another_release_must_be_changed(database_url: str, statement: str, sentence: str) -> None:
    execute(database_url, statement)
    found = check("schema", database_url=database_url)
    assert found.level is Level.CHANGE
    assert sentence in found.found
    assert found.remedy


def test_shadow_that_differs_is_created_again(database_url: str) -> None:
    execute(database_url, "ALTER TABLE delegations ADD COLUMN team text", "DROP TABLE projector_shadow.parked")
    found = check("shadow", database_url=database_url)
    assert found.level is Level.CHANGE
    assert "projector_shadow.delegations: team is missing, expected text" in found.found
    assert "projector_shadow.parked: " in found.found
    assert "projector migrate recreate-shadow" in str(found.remedy)
    with psycopg.connect(database_url) as conn:
        migrations.recreate_shadow(conn)
    assert check("shadow", database_url=database_url).level is Level.OK


def test_space_names_dead_rows_and_the_limit_of_files(role: Role) -> None:
    role.execute(*RUN, "ALTER ROLE {role} SET temp_file_limit = '1GB'")
    role.execute("CREATE TABLE filler AS SELECT 1", "ALTER TABLE projector.parked SET (autovacuum_enabled = off)")
    role.execute(
        'INSERT INTO projector.parked (topic, partition, "offset", delegation_id, kind, at) '
        "SELECT 't', 0, n, 'd', 'heartbeat', now() FROM generate_series(1, 100001) AS n",
        "DELETE FROM projector.parked",
        "SELECT pg_stat_force_next_flush()",
    )
    found = check("database space", database_url=role.url)
    assert found.level is Level.NOTE
    assert "hint: " in found.found
    assert "projector.parked has 100,001 dead rows" in found.found
    assert "temp_file_limit is 1.1 GB" in found.found
    assert found.remedy == "VACUUM projector.parked;"


def test_locked_table_leaves_the_other_checks(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("LOCK TABLE projector.positions")
        found = checks(database_url=database_url)
    for name in ("positions", "database space"):
        assert found[name].level is Level.NOTE
        assert found[name].found.startswith("cannot be checked: canceling statement due to lock timeout")
    assert {found[name].level for name in ("schema", "shadow", "rights of run")} == {Level.OK}


# --- pooler, no server


@pytest.mark.parametrize(("mode", "level"), [("transaction", Level.CHANGE), ("session", Level.OK)])
def test_pooler_in_transaction_mode_must_be_changed(
    tmp_path: Path, database_url: str, mode: PoolMode, level: Level
) -> None:
    with start_pooler(tmp_path, database_url, pool_mode=mode, pool_size=2) as pooler:
        found = checks(database_url=pooler.url)
        assert found["pooler"].level is level
        assert found["schema"].level is Level.OK, "the other checks are made"


def test_pooled_session_is_left_as_it_was(tmp_path: Path, database_url: str) -> None:
    everything = "SELECT name, setting FROM pg_settings WHERE source = 'session'"
    leftovers = "SELECT name FROM pg_prepared_statements"
    with (
        start_pooler(tmp_path, database_url, pool_mode="transaction", pool_size=1) as pooler,
        psycopg.connect(pooler.url, autocommit=True, prepare_threshold=None) as conn,
    ):
        before = conn.execute(everything).fetchall()
        checks(database_url=pooler.url)
        assert conn.execute(everything).fetchall() == before
        assert conn.execute(leftovers).fetchall() == []


def test_unreachable_postgres_is_one_line(database_url: str) -> None:
    found = checks(database_url=make_conninfo(database_url, host="127.0.0.1", port=NOWHERE.split(":")[1]))
    assert found["postgres"].level is Level.CHANGE
    assert "PROJECTOR_DATABASE_URL" in str(found["postgres"].remedy)
    assert {"kafka", "clocks", "versions"} <= found.keys()


def test_wrong_url_is_one_line_without_its_text() -> None:
    found = check("postgres", database_url="postgresql://user:hush@[nowhere")
    assert found.level is Level.CHANGE
    assert "hush" not in str(found)
