"""`projector migrate down`: what it removes, what it leaves, and the count of rows that it would destroy."""

from collections.abc import Callable

import pytest
from psycopg import Connection, sql

from migrating.conftest import Catalog
from migrating.contents import ALL, FILL, FILL_LATER, FILL_SHADOW, OWN_TABLES, count, names
from projector.errors import Misconfigured, ProjectorError
from projector.postgres import migrations


def test_down_removes_everything(empty: Connection, catalog: Callable[[], Catalog]) -> None:
    before = catalog()
    migrations.up(empty)
    assert catalog() != before
    migrations.down(empty)
    assert catalog() == before
    assert migrations.down(empty) == []


@pytest.mark.parametrize(("to", "kept"), [(version, version - 48) for version in range(49, 58)])
def test_down_to_a_version_keeps_that_version(
    empty: Connection, catalog: Callable[[], Catalog], to: int, kept: int
) -> None:
    migrations.up(empty)
    complete = catalog()
    assert names(migrations.down(empty, to=to)) == ALL[kept:][::-1]
    assert names(migrations.status(empty).applied) == ALL[:kept]
    assert [migrations.down(empty, to=above) for above in range(49, 58) if above >= to] == [[]] * (10 - kept)
    assert names(migrations.up(empty)) == ALL[kept:]
    assert catalog() == complete


def test_down_keeps_the_rows_of_earlier_tables(empty: Connection, catalog: Callable[[], Catalog]) -> None:
    migrations.up(empty)
    empty.execute(FILL + ";" + FILL_LATER)
    migrations.down(empty, to=50)
    assert "shadow" not in f"{catalog()}"
    assert {table: count(empty, table) for table in OWN_TABLES} == dict.fromkeys(OWN_TABLES, 1)
    assert count(empty, "delegations") == 2


@pytest.mark.parametrize("to", [-1, 7, 58])
def test_down_to_an_unknown_version_is_refused(empty: Connection, to: int) -> None:
    migrations.up(empty)
    with pytest.raises(
        Misconfigured,
        match=rf"--to {to}: there is no such version. Choose one of 49, 50, 51, 52, 53, 54, 55, 56, 57, or 0",
    ):
        migrations.down(empty, to=to)
    assert migrations.status(empty).pending == []


def test_rows_to_be_lost_are_counted_per_table(empty: Connection) -> None:
    migrations.up(empty)
    assert migrations.rows_to_be_lost(empty) == {}
    empty.execute(FILL)
    own_rows = dict.fromkeys(OWN_TABLES, 1)
    assert migrations.rows_to_be_lost(empty) == own_rows | {"delegations": 2}
    assert migrations.rows_to_be_lost(empty, to=49) == own_rows
    assert migrations.rows_to_be_lost(empty, to=50) == {}
    assert migrations.rows_to_be_lost(empty, to=51) == {}
    empty.execute(FILL_LATER)
    push = dict.fromkeys(("projector.push", "projector.push_from", "projector.ends", "projector.outbox"), 1)
    pruned = {"projector.pruned": 1, "projector.erased": 1}
    passes = pruned | {"projector.passes": 1}
    assert migrations.rows_to_be_lost(empty, to=57) == {}
    assert migrations.rows_to_be_lost(empty, to=56) == pruned
    assert migrations.rows_to_be_lost(empty, to=55) == passes
    assert migrations.rows_to_be_lost(empty, to=54) == passes | push
    assert migrations.rows_to_be_lost(empty, to=52) == passes | push | {"projector.deleted": 1}
    assert migrations.rows_to_be_lost(empty, to=51) == passes | push | {
        "projector.deleted": 1,
        "projector.parked": 1,
        "projector.repeated_requests": 1,
    }
    assert migrations.rows_to_be_lost(empty)["projector.parked"] == 2


def test_rows_of_the_shadow_are_not_counted(empty: Connection) -> None:
    migrations.up(empty)
    empty.execute(FILL)
    before = migrations.rows_to_be_lost(empty)
    empty.execute(FILL_SHADOW)
    assert migrations.rows_to_be_lost(empty) == before
    assert migrations.rows_to_be_lost(empty, to=50) == {}
    migrations.down(empty, to=50)
    assert migrations.rows_to_be_lost(empty) == before


def test_every_table_outside_the_shadow_is_counted(empty: Connection, catalog: Callable[[], Catalog]) -> None:
    migrations.up(empty)
    empty.execute(FILL + ";" + FILL_LATER)
    tables = {f"{name}" for name, kind, *_ in catalog()["relations"] if kind == "r"}
    shadow = {name for name in tables if name.startswith("projector_shadow.")}
    assert len(shadow) == 11
    assert set(migrations.rows_to_be_lost(empty)) == tables - shadow - {"projector_schema_migrations"}


@pytest.mark.parametrize(
    ("schema", "file"), [("projector", "050_projector.down.sql"), ("projector_shadow", "051_shadow.down.sql")]
)
def test_down_refuses_a_schema_with_foreign_objects(
    empty: Connection, catalog: Callable[[], Catalog], schema: str, file: str
) -> None:
    version = int(file[:3])
    migrations.up(empty)
    migrations.down(empty, to=version)
    empty.execute(sql.SQL("CREATE VIEW {}.foreign_view AS SELECT 1 AS one").format(sql.Identifier(schema)))
    before = catalog()
    with pytest.raises(Misconfigured) as refusal:
        migrations.down(empty, to=version - 1)
    # The sentence of the SQL file, which is fixed.
    assert str(refusal.value).startswith(
        f"{file}: the schema {schema} holds what the projector did not make, move it first: view {schema}.foreign_view"
    )
    assert catalog() == before
    assert migrations.status(empty).applied[-1].version == version


def test_down_refuses_a_shadow_that_a_view_uses(empty: Connection, catalog: Callable[[], Catalog]) -> None:
    migrations.up(empty)
    empty.execute("CREATE VIEW foreign_view AS SELECT delegation_id FROM projector_shadow.delegations")
    migrations.down(empty, to=51)
    before = catalog()
    with pytest.raises(ProjectorError, match=r"051_shadow\.down\.sql: .*projector_shadow\.delegations.*rolled back"):
        migrations.down(empty)
    assert catalog() == before
