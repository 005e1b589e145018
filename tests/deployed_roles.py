"""The roles of deploy/postgres in a database of their own. A test's roles have other names, as a server is shared."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
from activity_table import create_activity_table
from commands import CommandResult, run_projector
from psycopg import sql
from psycopg.conninfo import make_conninfo

FOLDER = Path(__file__).parents[1] / "deploy" / "postgres"
ROLES = ("migrate", "run", "dashboard")


class Roles(NamedTuple):
    """A database, and the names of its roles: their prefix stands for `projector`."""

    admin: str
    prefix: str

    def name(self, role: str) -> str:
        return f"{self.prefix}_{role}"

    def url(self, role: str) -> str:
        return make_conninfo(self.admin, user=self.name(role), password="secret")

    def sql(self, file: str, folder: Path = FOLDER) -> str:
        """The text of a file of deploy/postgres, or of another folder, with the names of these roles."""
        names = rf"\bprojector_({'|'.join(ROLES)})\b"
        return re.sub(names, rf"{self.prefix}_\1", (folder / file).read_text())

    def apply(self, file: str, *, url: str = "", folder: Path = FOLDER) -> None:
        """Run a file, as the administrator unless it is said otherwise."""
        with psycopg.connect(url or self.admin, autocommit=True) as conn:
            conn.execute(self.sql(file, folder).encode())

    def set_passwords(self) -> None:
        with psycopg.connect(self.admin, autocommit=True) as conn:
            for role in ROLES:
                conn.execute(sql.SQL("ALTER ROLE {} PASSWORD 'secret'").format(sql.Identifier(self.name(role))))

    def projector(self, role: str, *arguments: str, **settings: str) -> CommandResult:
        """Run a command of the projector as this role."""
        return run_projector(*arguments, database_url=self.url(role), **settings)

    def privileges(self, role: str) -> dict[str, str]:
        """Each table, schema and database of the role's rights → its rights; those of everybody aside."""
        with psycopg.connect(self.admin) as conn:
            rows = conn.execute(
                """
                WITH objects (name, acl) AS (
                    SELECT format('%%I.%%I', nspname, relname), relacl FROM pg_class c
                      JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'S', 'v', 'p')
                    UNION ALL SELECT 'schema ' || nspname, nspacl FROM pg_namespace
                    UNION ALL SELECT 'database', datacl FROM pg_database WHERE datname = current_database()
                    UNION ALL SELECT 'column', attacl FROM pg_attribute
                )
                SELECT name, string_agg(privilege_type, ', ' ORDER BY privilege_type)
                  FROM objects, aclexplode(acl) WHERE grantee = %s::regrole GROUP BY name
                """,
                [self.name(role)],
            ).fetchall()
        return dict(rows)


@contextmanager
def new_database(server_url: str) -> Iterator[Roles]:
    """An empty database that only a superuser may use, and names for its roles, which are dropped with it."""
    prefix = f"test_{uuid.uuid4().hex[:8]}"
    name = sql.Identifier(prefix)
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(name))
        server.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
        try:
            yield Roles(make_conninfo(server_url, dbname=prefix), prefix)
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
            for role in (*ROLES, "admin"):
                server.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(f"{prefix}_{role}")))


def deploy(roles: Roles, folder: Path = FOLDER) -> None:
    """As docs/deploying.md says: roles.sql, `migrate up` as the role of migrations, the grants."""
    roles.apply("roles.sql", folder=folder)
    roles.set_passwords()
    done = roles.projector("migrate", "migrate", "up")
    assert done.code == 0, done.err
    roles.apply("grants.sql", url=roles.url("migrate"), folder=folder)
    create_activity_table(roles.admin)
    roles.apply("grants_activity_logs.sql", folder=folder)
