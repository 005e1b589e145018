"""The roles of deploy/postgres have the rights that they need, and no others. The files can be applied as they say."""

from collections.abc import Iterator

import psycopg
import pytest
from deployed_roles import ROLES, Roles, deploy, new_database
from psycopg import sql

from testbed.servers.start import Postgres

READ, WRITE = "SELECT", "DELETE, INSERT, SELECT, UPDATE"


@pytest.fixture(scope="module")
def roles(postgres: Postgres) -> Iterator[Roles]:
    with new_database(postgres.url) as roles:
        deploy(roles)
        yield roles


def test_roles_have_these_rights_alone(roles: Roles) -> None:
    database = {"database": "CONNECT, TEMPORARY"}
    run, dashboard = roles.privileges("run"), roles.privileges("dashboard")
    own = _tables(roles, "projector")
    shadow = _tables(roles, "projector_shadow")
    assert len(own) > 10
    assert len(shadow) > 5
    assert run == {
        **database,
        "schema public": "USAGE",
        "schema projector": "USAGE",
        "schema projector_shadow": "USAGE",
        "public.delegations": WRITE,
        "public.projector_schema_migrations": READ,
        "public.activity_logs": "INSERT, SELECT",
        **dict.fromkeys(own, WRITE),
        **dict.fromkeys(shadow, "DELETE, INSERT, SELECT, TRUNCATE, UPDATE"),
    }
    assert dashboard == {
        **database,
        "schema public": "USAGE",
        "schema projector": "USAGE",
        "public.delegations": READ,
        "public.projector_schema_migrations": READ,
        "schema projector_shadow": "USAGE",
        "public.activity_logs": READ,
        **dict.fromkeys([*own, *shadow], READ),
    }
    with psycopg.connect(roles.admin) as conn:
        attributes = conn.execute(
            "SELECT bool_or(rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication) FROM pg_roles "
            "WHERE rolname = ANY (%s)",
            [[roles.name(role) for role in ROLES]],
        ).fetchone()
    assert attributes == (False,)


REFUSED = {
    "run": [
        "CREATE TABLE public.mine ()",
        "CREATE TABLE projector.mine ()",
        "CREATE SCHEMA mine",
        "TRUNCATE public.delegations",
        "ALTER TABLE public.delegations ADD mine int",
        "DROP TABLE projector.parked",
        "UPDATE public.projector_schema_migrations SET version = 1",
        "DELETE FROM public.activity_logs",
        "UPDATE public.activity_logs SET status = 'ok'",
        "CREATE ROLE mine",
    ],
    "dashboard": [
        "INSERT INTO projector.deleted DEFAULT VALUES",
        "UPDATE public.delegations SET status = 'completed'",
        "DELETE FROM public.delegations",
        "DELETE FROM projector.dead_letters",
        "INSERT INTO public.activity_logs SELECT * FROM public.activity_logs",
        "DELETE FROM projector_shadow.work",
        "CREATE TABLE public.mine ()",
        "ALTER TABLE public.delegations ADD mine int",
        "SELECT pg_read_file('/etc/passwd')",
    ],
    "migrate": ["SELECT * FROM public.activity_logs", "CREATE SCHEMA mine", "CREATE ROLE mine"],
}


@pytest.mark.parametrize(("role", "statement"), [(role, each) for role, all_ in REFUSED.items() for each in all_])
def test_role_is_refused(roles: Roles, role: str, statement: str) -> None:
    with psycopg.connect(roles.url(role)) as conn:
        conn.execute("SET default_transaction_read_only = off")
        conn.commit()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(statement.encode())


def test_sessions_of_the_dashboard_are_read_only_by_role(roles: Roles) -> None:
    with psycopg.connect(roles.url("dashboard")) as conn:
        assert conn.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
        assert conn.execute("SHOW statement_timeout").fetchone() == ("3s",)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            conn.execute("CREATE TABLE projector.mine ()")


def test_files_can_be_applied_again(roles: Roles) -> None:
    before = {role: roles.privileges(role) for role in ROLES}
    for file in ("roles.sql", "grants.sql", "grants_activity_logs.sql"):
        roles.apply(file)
    assert {role: roles.privileges(role) for role in ROLES} == before


def test_later_migrations_need_no_grants(postgres: Postgres) -> None:
    with new_database(postgres.url) as roles:
        deploy(roles)
        before = {role: roles.privileges(role) for role in ROLES}
        for command in ("down --to 55 --yes", "up", "recreate-shadow"):
            done = roles.projector("migrate", "migrate", *command.split())
            assert done.code == 0, done.err
        assert {role: roles.privileges(role) for role in ROLES} == before


def test_administrator_need_not_be_a_superuser(postgres: Postgres) -> None:
    """As on a hosted Postgres: it owns the database, and may create roles."""
    with new_database(postgres.url) as roles:
        with psycopg.connect(roles.admin, autocommit=True) as conn:
            name = sql.Identifier(roles.name("admin"))
            conn.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD 'secret'").format(name))
            conn.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(roles.prefix), name))
        admin = roles._replace(admin=roles.url("admin"))
        admin.apply("roles.sql")
        admin.set_passwords()
        assert admin.projector("migrate", "migrate", "up").code == 0
        admin.apply("grants.sql")
        assert admin.projector("run", "parked", "list").code == 0
        assert {"public.delegations", "projector.positions"} < set(admin.privileges("dashboard"))


def _tables(roles: Roles, schema: str) -> list[str]:
    with psycopg.connect(roles.admin) as conn:
        rows = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema]).fetchall()
    return [f"{schema}.{name}" for (name,) in rows]
