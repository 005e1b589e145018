"""A database that is not UTF-8 is refused by every command that connects to it, before it writes or reads anything."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from commands import run_projector
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from testbed.servers.start import Postgres

COMMANDS = [
    "run",
    "run --members 2",
    "migrate up",
    "migrate down --to 0 --yes",
    "migrate status",
    "migrate recreate-shadow",
    "replay FILE",
    "status",
    "verify",
    "verify --from FILE",
    "rebuild --yes",
    "deleted list",
    "deleted restore --all",
    "deleted discard --all --yes",
    "dead-letters list",
    "dead-letters show 0 0",
    "dead-letters retry --all",
    "dead-letters discard --all --yes",
    "parked list",
    "parked discard d-1 --yes",
    "explain d-1",
    "explain d-1 --recording FILE",
]


@pytest.fixture(scope="module", params=["LATIN1", "SQL_ASCII"])
def foreign(request: pytest.FixtureRequest, postgres: Postgres) -> Iterator[tuple[str, str]]:
    """An encoding, and the URL of a database with it."""
    name = f"encoding_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres.url, autocommit=True) as server:
        create = sql.SQL("CREATE DATABASE {} ENCODING {} LOCALE 'C' TEMPLATE template0")
        server.execute(create.format(sql.Identifier(name), sql.Literal(request.param)))
        yield request.param, make_conninfo(postgres.url, dbname=name)
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def recording() -> str:
    return str(Path(__file__).parents[1] / "cases" / "client-encoding.jsonl")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_the_database(
    foreign: tuple[str, str], kafka: str, shared_topic: str, recording: str, command: str
) -> None:
    encoding, url = foreign
    arguments = command.replace("FILE", recording).split()
    done = run_projector(*arguments, database_url=url, bootstrap_servers=kafka, topic=shared_topic)
    assert done.code == 2
    assert done.out == ""
    name = str(conninfo_to_dict(url)["dbname"])
    assert f"projector: the database {name} has the encoding {encoding}, " in done.err
    assert "use a database with ENCODING 'UTF8'\n" in done.err
    assert "Traceback" not in done.err


def test_database_of_the_activity_table_is_refused(
    foreign: tuple[str, str], database_url: str, kafka: str, shared_topic: str
) -> None:
    encoding, url = foreign
    done = run_projector(
        *("verify", "--from", "activity-logs"),
        database_url=database_url,
        activity_database_url=url,
        bootstrap_servers=kafka,
        topic=shared_topic,
    )
    assert done.code == 2
    assert f"has the encoding {encoding}" in done.err
