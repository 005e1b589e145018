"""`projector doctor` and the rights of a role: what is missing is named, and the SQL that is printed grants it."""

from collections.abc import Iterator

import psycopg
import pytest
from doctoring import RUN, Role, assert_cured, check, checks, cure, role_without_rights

from projector.doctor.checks import Level
from projector.postgres import migrations

REBUILD = [
    "GRANT DELETE ON public.delegations TO {role}",
    "GRANT USAGE ON SCHEMA projector_shadow TO {role}",
    "GRANT ALL ON ALL TABLES IN SCHEMA projector_shadow TO {role}",
]


@pytest.fixture
def role(database_url: str) -> Iterator[Role]:
    with role_without_rights(database_url) as role:
        yield role


def test_role_with_the_documented_rights_may_run(role: Role) -> None:
    role.execute(*RUN)
    found = checks(database_url=role.url)
    assert found["rights of run"].level is Level.OK
    assert found["rights of rebuild"].level is found["rights of migrate"].level is Level.NOTE
    role.execute(*REBUILD)
    assert check("rights of rebuild", database_url=role.url).level is Level.OK


def test_role_without_rights_gets_all_grants_as_sql(role: Role) -> None:
    found = checks(database_url=role.url)
    assert found["rights of run"].level is Level.CHANGE
    cure(role.admin, found["rights of run"])
    cure(role.admin, found["rights of rebuild"])
    after = checks(database_url=role.url)
    assert {after[name].level for name in ("schema", "rights of run", "rights of rebuild")} == {Level.OK}


@pytest.mark.parametrize(
    ("revoked", "named"),
    [
        ("SELECT ON public.delegations", "SELECT on public.delegations"),
        ("INSERT ON public.delegations", "INSERT on public.delegations"),
        ("UPDATE ON public.delegations", "UPDATE on public.delegations"),
        ("SELECT ON public.projector_schema_migrations", "SELECT on public.projector_schema_migrations"),
        ("USAGE ON SCHEMA projector", "USAGE on SCHEMA projector"),
        ("DELETE ON projector.parked", "DELETE on projector.parked"),
        ("UPDATE ON projector.positions", "UPDATE on projector.positions"),
        ("INSERT ON projector.deleted", "INSERT on projector.deleted"),
        ("TEMPORARY ON DATABASE {database}", "TEMPORARY on DATABASE {database}"),
    ],
)
def test_one_missing_right_of_run_is_named(role: Role, revoked: str, named: str) -> None:
    role.execute(*RUN, f"REVOKE {revoked} FROM {{role}}")
    found = check("rights of run", database_url=role.url)
    assert found.found == f"the role lacks {named.format(database=role.database)}"
    assert_cured("rights of run", role.admin, found, database_url=role.url)


@pytest.mark.parametrize(
    "revoked",
    [
        "DELETE ON public.delegations",
        "USAGE ON SCHEMA projector_shadow",
        "TRUNCATE ON projector_shadow.work",
        "SELECT ON projector_shadow.suspects",
    ],
)
def test_one_missing_right_of_rebuild_is_a_note(role: Role, revoked: str) -> None:
    role.execute(*RUN, *REBUILD, f"REVOKE {revoked} FROM {{role}}")
    found = check("rights of rebuild", database_url=role.url)
    assert found.found == f"the role lacks {revoked.replace(' ON ', ' on ')}"
    assert_cured("rights of rebuild", role.admin, found, Level.NOTE, database_url=role.url)


def test_rights_on_columns_are_enough_to_write(role: Role) -> None:
    columns = "status, last_heartbeat, result_preview, error_detail, updated_at"
    role.execute(*RUN, "REVOKE UPDATE ON public.delegations FROM {role}")
    role.execute(f"GRANT UPDATE ({columns}) ON public.delegations TO {{role}}")
    assert check("rights of run", database_url=role.url).level is Level.OK


def test_role_that_must_migrate_lacks_rights_to_create(role: Role) -> None:
    with psycopg.connect(role.admin) as conn:
        migrations.down(conn)
    found = check("rights of migrate", database_url=role.url)
    assert_cured("rights of migrate", role.admin, found, database_url=role.url)
    with psycopg.connect(role.url) as conn:
        migrations.up(conn)


def test_role_that_owns_no_table_cannot_migrate(role: Role) -> None:
    role.execute("GRANT CREATE ON DATABASE {database} TO {role}", "GRANT CREATE ON SCHEMA public TO {role}", *RUN)
    found = check("rights of migrate", database_url=role.url)
    assert found.found == "the role lacks ownership: the tables belong to postgres"
    assert_cured("rights of migrate", role.admin, found, Level.NOTE, database_url=role.url)
