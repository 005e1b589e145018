"""Runs `projector doctor` on real servers, and applies the SQL that it prints."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from projector.doctor.checks import Check, Level
from projector.doctor.report import examine
from projector.settings import load
from testbed.servers.server import free_port

NOWHERE = f"127.0.0.1:{free_port()}"


def check(name: str, **settings: Any) -> Check:
    """Make all checks, and return the one of this name. Kafka is nowhere, unless the settings name it."""
    return checks(**settings)[name]


def checks(**settings: Any) -> dict[str, Check]:
    """Make all checks: name → check. A name occurs once."""
    made = examine(load({"bootstrap_servers": NOWHERE, **settings}, {}))
    found = {each.name: each for each in made}
    assert len(found) == len(made), made
    return found


def execute(url: str, *statements: str) -> None:
    """Run statements as the superuser of this URL."""
    with psycopg.connect(url, autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement.encode())


def cure(url: str, found: Check) -> None:
    """Run the SQL of the remedy as it is printed."""
    assert found.remedy is not None
    lines = [line for line in found.remedy.splitlines() if ";" in line]
    assert lines, f"the remedy has no SQL: {found.remedy}"
    execute(url, *lines)


def assert_cured(name: str, url: str, found: Check, level: Level = Level.CHANGE, **settings: Any) -> None:
    """Check the level, run the printed SQL, and check that the same check is ok then."""
    assert found.level is level, found
    cure(url, found)
    after = check(name, **settings)
    assert after.level is Level.OK, after


RUN = [
    "GRANT SELECT, INSERT, UPDATE ON public.delegations TO {role}",
    "GRANT SELECT ON public.projector_schema_migrations TO {role}",
    "GRANT USAGE ON SCHEMA projector TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA projector TO {role}",
    "GRANT TEMPORARY ON DATABASE {database} TO {role}",
]
"""The rights of docs/security.md that `run` needs."""


class Role:
    """A role without rights, in a database that only its own grants open. `url` is the role's, `admin` the owner's."""

    def __init__(self, admin: str, name: str) -> None:
        self.admin, self.name = admin, name
        self.quoted = '"' + name.replace('"', '""') + '"'
        self.url = make_conninfo(admin, user=name, password="secret")
        with psycopg.connect(admin) as conn:
            self.database = conn.info.dbname

    def execute(self, *statements: str) -> None:
        execute(self.admin, *(text.format(role=self.quoted, database=self.database) for text in statements))


@contextmanager
def role_without_rights(url: str) -> Iterator[Role]:
    """Create a role whose name needs quotes. It may connect to the database, and nothing else."""
    role = Role(url, f'plain "{uuid.uuid4().hex[:8]}" role')
    role.execute("CREATE ROLE {role} LOGIN PASSWORD 'secret'", "REVOKE ALL ON DATABASE {database} FROM PUBLIC")
    role.execute("GRANT CONNECT ON DATABASE {database} TO {role}")
    yield role
    role.execute("DROP OWNED BY {role}", "DROP ROLE {role}")
