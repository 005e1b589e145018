"""The tables of the shadow: the columns, constraints and indexes of the originals, and no write-ahead log."""

from collections.abc import Callable

import pytest
from psycopg import Connection

from migrating.catalog import columns, constraints, generated_columns, indexes
from migrating.conftest import Catalog
from migrating.contents import count
from projector.errors import ProjectorError
from projector.postgres import migrations
from projector.postgres.connection import connect
from projector.rebuild import shadow
from projector.settings import PostgresSettings

COPIES = {
    "projector_shadow.dead_letters": "projector.dead_letters",
    "projector_shadow.large_rows": "projector.large_rows",
    "projector_shadow.parked": "projector.parked",
    "projector_shadow.positions": "projector.positions",
    "projector_shadow.repeated_requests": "projector.repeated_requests",
}


OWN = [
    "projector_shadow.delegations",
    "projector_shadow.order_facts",
    "projector_shadow.order_groups",
    "projector_shadow.planned_deletions",
    "projector_shadow.suspects",
    "projector_shadow.work",
]


def test_only_the_tables_of_the_shadow_are_unlogged(migrated: Connection) -> None:
    unlogged = migrated.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relpersistence = 'u' ORDER BY 1"
    )
    assert [name for (name,) in unlogged] == sorted([*COPIES, *OWN])
    logged = migrated.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'projector_shadow'::regnamespace AND relpersistence <> 'u'"
    )
    assert logged.fetchall() == []


@pytest.mark.parametrize(("shadow", "original"), COPIES.items())
def test_shadow_table_has_the_definition_of_its_original(migrated: Connection, shadow: str, original: str) -> None:
    assert columns(migrated, shadow) == columns(migrated, original)
    assert generated_columns(migrated, shadow) == generated_columns(migrated, original)
    assert constraints(migrated, shadow) == constraints(migrated, original)
    assert indexes(migrated, shadow) == indexes(migrated, original)


def test_shadow_delegations_add_only_the_carried_over_mark(migrated: Connection) -> None:
    carried_over = ("projector_carried_over", "boolean", "not null", "false")
    assert set(columns(migrated, "projector_shadow.delegations")) == {*columns(migrated, "delegations"), carried_over}
    assert constraints(migrated, "projector_shadow.delegations") == constraints(migrated, "delegations")


def test_shadow_delegations_have_only_the_unique_indexes(migrated: Connection) -> None:
    """The statements of a projection need these two. No query sweeps the shadow or lists it by caller."""
    assert indexes(migrated, "projector_shadow.delegations") == [
        "UNIQUE btree (caller_id, idempotency_key) WHERE (idempotency_key IS NOT NULL)",
        "UNIQUE btree (delegation_id)",
    ]


def test_shadow_holds_one_job_and_each_candidate_once(migrated: Connection) -> None:
    assert columns(migrated, "projector_shadow.work") == [
        ("one", "boolean", "not null", "true"),
        ("source", "text", "not null", None),
        ("owner", "text", "not null", None),
        ("since", "timestamp with time zone", "not null", "now()"),
        ("coverage", "jsonb", "not null", None),
        ("carried_over", "bigint", "not null", None),
    ]
    assert constraints(migrated, "projector_shadow.work") == ["CHECK (one)", "PRIMARY KEY (one)"]
    assert columns(migrated, "projector_shadow.suspects") == [("delegation_id", "text", "not null", None)]
    assert constraints(migrated, "projector_shadow.suspects") == ["PRIMARY KEY (delegation_id)"]


def test_recreated_shadow_equals_that_of_the_migrations(empty: Connection, catalog: Callable[[], Catalog]) -> None:
    migrations.up(empty)
    before = catalog()
    empty.execute("INSERT INTO projector_shadow.suspects VALUES ('d1'); DROP TABLE projector_shadow.parked")
    migrations.recreate_shadow(empty)
    assert catalog() == before
    assert count(empty, "projector_shadow.suspects") == 0


def test_shadow_in_use_is_not_recreated(empty: Connection, empty_url: str) -> None:
    migrations.up(empty)
    empty.execute("INSERT INTO projector_shadow.suspects VALUES ('d1')")
    with connect(PostgresSettings(database_url=empty_url)) as verify:
        assert shadow.lock(verify)
        with pytest.raises(ProjectorError, match="a verify or rebuild is running: wait until it ends, or stop it"):
            migrations.recreate_shadow(empty)
    assert count(empty, "projector_shadow.suspects") == 1
