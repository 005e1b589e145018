"""`projector doctor` and the table `activity_logs`: replica identity, publication, WAL level and slots."""

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from activity_table import create_activity_table
from doctoring import NOWHERE, assert_cured, check, checks, execute
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from roles import plain_role

from projector.doctor.checks import Level
from testbed.servers.start import Postgres, start_postgres


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A Postgres with wal_level=logical, as a change feed needs it."""
    with start_postgres(
        tmp_path_factory.mktemp("platform"), options=["fsync=off", "wal_level=logical"], own=True
    ) as it:
        yield it


@pytest.fixture
def platform_url(platform: Postgres) -> Iterator[str]:
    """A database with the table, FULL and published."""
    name = f"platform_{uuid.uuid4().hex[:12]}"
    execute(platform.url, f"CREATE DATABASE {name}")
    url = make_conninfo(platform.url, dbname=name)
    create_activity_table(url)
    execute(
        url,
        "ALTER TABLE activity_logs REPLICA IDENTITY FULL",
        'CREATE PUBLICATION "the feed" FOR TABLE activity_logs',
    )
    yield url
    execute(
        url,
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
        "WHERE database = current_database() AND NOT active",
    )
    execute(platform.url, f"DROP DATABASE {name} WITH (FORCE)")


def test_published_table_with_full_identity_is_ok(platform_url: str, database_url: str) -> None:
    found = checks(database_url=database_url, activity_database_url=platform_url)
    names = ("activity_logs", "rights of sweep", "replica identity", "publication", "wal_level")
    assert {found[name].level for name in names} == {Level.OK}
    assert found["replication slots"].level is Level.NOTE


def test_table_in_the_database_of_the_view_is_checked_too(database_url: str) -> None:
    create_activity_table(database_url)
    found = checks(database_url=database_url)
    assert found["activity_logs"].level is Level.OK
    assert (found["publication"].level, found["wal_level"].level) == (Level.NOTE, Level.NOTE)


def test_role_without_the_rights_of_sweep_gets_the_grant(database_url: str) -> None:
    create_activity_table(database_url)
    with plain_role(database_url) as own:
        found = check("rights of sweep", database_url=own)
        assert "lacks SELECT, INSERT on public.activity_logs: `sweep` needs it" in found.found
        assert str(found.remedy).startswith("GRANT SELECT, INSERT ON public.activity_logs TO role_")
        assert_cured("rights of sweep", database_url, found, Level.NOTE, database_url=own)


def test_missing_right_to_insert_is_named_alone(database_url: str) -> None:
    create_activity_table(database_url)
    with plain_role(database_url) as own:
        role = conninfo_to_dict(own)["user"]
        execute(database_url, f"GRANT SELECT ON activity_logs TO {role}")
        assert check("rights of sweep", database_url=own).remedy == f"GRANT INSERT ON public.activity_logs TO {role};"


def test_database_without_the_table_is_a_note(database_url: str) -> None:
    found = check("activity_logs", database_url=database_url)
    assert found.level is Level.NOTE
    assert "PROJECTOR_ACTIVITY_DATABASE_URL" in str(found.remedy)


def test_role_that_may_not_read_the_table_gets_the_grant(platform_url: str, database_url: str) -> None:
    role = f"reader_{uuid.uuid4().hex[:8]}"
    execute(platform_url, f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    own = make_conninfo(platform_url, user=role, password="secret")
    settings: dict[str, Any] = {"database_url": database_url, "activity_database_url": own}
    found = check("activity_logs", **settings)
    assert_cured("activity_logs", platform_url, found, Level.NOTE, **settings)
    execute(platform_url, "ALTER TABLE activity_logs ENABLE ROW LEVEL SECURITY")
    found = check("activity_logs", **settings)
    assert "row-level security" in found.found
    assert_cured("activity_logs", platform_url, found, Level.NOTE, **settings)
    execute(platform_url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


@pytest.mark.parametrize(
    ("statements", "level"),
    [
        (["ALTER TABLE activity_logs REPLICA IDENTITY DEFAULT"], Level.NOTE),
        (["ALTER TABLE activity_logs REPLICA IDENTITY NOTHING"], Level.CHANGE),
        (
            [
                "ALTER TABLE activity_logs REPLICA IDENTITY DEFAULT",
                "ALTER TABLE activity_logs DROP CONSTRAINT activity_logs_pkey",
            ],
            Level.CHANGE,
        ),
    ],
    ids=["default", "nothing", "no key"],
)
def test_replica_identity_other_than_full_is_named(
    platform_url: str, database_url: str, statements: list[str], level: Level
) -> None:
    execute(platform_url, *statements)
    settings: dict[str, Any] = {"database_url": database_url, "activity_database_url": platform_url}
    assert_cured("replica identity", platform_url, check("replica identity", **settings), level, **settings)


@pytest.mark.parametrize(
    ("publication", "fault"),
    [
        ("FOR TABLE activity_logs WITH (publish = 'insert, delete')", "leaves out updates"),
        ("FOR TABLE activity_logs WITH (publish = 'update')", "leaves out inserts"),
        ("FOR TABLE activity_logs (id, workspace_id, method)", "leaves out the columns activity_type, created_at"),
    ],
)
def test_publication_that_leaves_something_out_must_be_changed(
    platform_url: str, database_url: str, publication: str, fault: str
) -> None:
    execute(platform_url, 'DROP PUBLICATION "the feed"', f'CREATE PUBLICATION "the feed" {publication}')
    execute(platform_url, "CREATE TABLE other (id int)", 'ALTER PUBLICATION "the feed" ADD TABLE other')
    settings: dict[str, Any] = {"database_url": database_url, "activity_database_url": platform_url}
    found = check("publication", **settings)
    assert fault in found.found
    assert_cured("publication", platform_url, found, **settings)
    with psycopg.connect(platform_url) as conn:
        assert ("other",) in conn.execute("SELECT tablename FROM pg_publication_tables").fetchall()


def test_row_filter_of_a_publication_is_a_note(platform_url: str, database_url: str) -> None:
    execute(platform_url, """ALTER PUBLICATION "the feed" SET TABLE activity_logs WHERE (activity_type = 'x')""")
    found = check("publication", database_url=database_url, activity_database_url=platform_url)
    assert found.level is Level.NOTE
    assert "row filter (activity_type = 'x'" in found.found


def test_table_without_publication_is_a_note_with_sql(platform_url: str, database_url: str) -> None:
    execute(platform_url, 'DROP PUBLICATION "the feed"')
    settings: dict[str, Any] = {"database_url": database_url, "activity_database_url": platform_url}
    assert_cured("publication", platform_url, check("publication", **settings), Level.NOTE, **settings)


def test_published_table_needs_logical_wal(database_url: str) -> None:
    create_activity_table(database_url)
    execute(database_url, "SET client_min_messages = error; CREATE PUBLICATION feed FOR TABLE activity_logs")
    found = check("wal_level", database_url=database_url)
    assert found.level is Level.CHANGE
    assert "ALTER SYSTEM SET wal_level = logical;" in str(found.remedy)


def test_inactive_slot_must_be_changed(platform_url: str, database_url: str) -> None:
    execute(platform_url, "SELECT pg_create_logical_replication_slot('left_over', 'pgoutput')")
    settings: dict[str, Any] = {"database_url": database_url, "activity_database_url": platform_url}
    found = check("replication slots", **settings)
    assert found.level is Level.CHANGE
    assert "left_over is inactive and keeps " in found.found
    drop = [line for line in str(found.remedy).splitlines() if line.endswith(";")]
    execute(platform_url, *drop)
    assert check("replication slots", **settings).level is Level.NOTE


def test_unreachable_platform_leaves_the_other_checks(database_url: str) -> None:
    port = NOWHERE.split(":")[1]
    found = checks(
        database_url=database_url, activity_database_url=make_conninfo(database_url, host="127.0.0.1", port=port)
    )
    assert found["activity_logs"].level is Level.CHANGE
    assert found["schema"].level is Level.OK
