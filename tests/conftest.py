"""One real Postgres and one real Kafka for all tests; each test has its own database and topic.

`testbed.servers.start` starts them. A test that stops or pauses a server starts another one with `own=True`.
"""

import os
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psycopg
import pytest
from cluster import Cluster
from psycopg import Connection, sql
from psycopg.conninfo import make_conninfo
from topics import create_topic

from projector.postgres import migrations
from testbed.servers.start import Postgres, start_kafka, start_postgres

pytest_plugins = [
    "repetitions",
    "proxied_kafka",
    "record_bytes",
    "secured_kafka",
    "staged",
    "relaying",
    "sweep_feed",
    "oracle_table",
    "browsing",
]


_SERVERS = pytest.StashKey[ExitStack]()
_LAST = ("unit", "integration")
_ROOM_BYTES = 8 << 30


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files: slow folders and large files first, so that no process of the run ends long after the others."""
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: ([folder in item.path.parts for folder in _LAST], -tests[item.path]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Start the servers once for all test processes, which find them in the environment."""
    stack = config.stash[_SERVERS] = ExitStack()
    of_postgres, of_kafka = (
        Path(stack.enter_context(TemporaryDirectory(prefix="servers-", dir=folder))) for folder in (_memory(), None)
    )
    os.environ["TESTBED_DATABASE_URL"] = stack.enter_context(_start_postgres(of_postgres)).url
    kafka = stack.enter_context(start_kafka(of_kafka))
    os.environ["TESTBED_BOOTSTRAP_SERVERS"] = kafka.bootstrap_servers


def pytest_unconfigure(config: pytest.Config) -> None:
    if stack := config.stash.get(_SERVERS, None):
        stack.close()


def _memory() -> str | None:
    """A folder in memory for the data of Postgres, if it has room.

    Each test creates a database of 300 files.
    To create a file, ext4 looks at those that were deleted in the last minutes.
    """
    try:
        return "/dev/shm" if shutil.disk_usage("/dev/shm").free > _ROOM_BYTES else None
    except OSError:
        return None


def _start_postgres(folder: Path) -> Postgres:
    """Without fsync: the data of a test need not survive a crash of the machine."""
    return start_postgres(folder, options=["fsync=off", "max_connections=300"])


@pytest.fixture(autouse=True, scope="session")
def _usual_terminal() -> Iterator[None]:
    """What the user prefers for a terminal changes no test."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TERM", "xterm")
        for name in ("NO_COLOR", "FORCE_COLOR"):
            patched.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The shared server."""
    with _start_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bootstrap address of the shared Kafka."""
    with start_kafka(tmp_path_factory.mktemp("kafka")) as server:
        yield server.bootstrap_servers


@pytest.fixture(scope="session")
def maintenance(postgres: Postgres) -> Iterator[Connection]:
    """A connection of the superuser that creates and drops databases."""
    with psycopg.connect(postgres.url, autocommit=True) as conn:
        yield conn


@pytest.fixture(scope="session")
def template_database(postgres: Postgres, maintenance: Connection) -> Iterator[str]:
    """The name of a database with the schema of the projector, without connections."""
    name = f"template_{uuid.uuid4().hex[:12]}"
    maintenance.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with psycopg.connect(_url_of(postgres, name)) as conn:
        migrations.up(conn)
    yield name
    _drop(maintenance, name)


@pytest.fixture(scope="session")
def finished_databases(maintenance: Connection) -> Iterator[list[str]]:
    """Databases of earlier tests; the next test drops them.

    Not at once, since Postgres waits 0.1 s for each connection that is just closing.
    """
    names: list[str] = []
    yield names
    for name in names:
        _drop(maintenance, name)


@pytest.fixture
def database_url(
    postgres: Postgres, maintenance: Connection, template_database: str, finished_databases: list[str]
) -> Iterator[str]:
    """The URL of a new database with the schema of the projector, without rows."""
    while finished_databases:
        _drop(maintenance, finished_databases.pop())
    name = _clone(maintenance, template_database)
    yield _url_of(postgres, name)
    finished_databases.append(name)


@pytest.fixture(scope="module")
def shared_database_url(
    postgres: Postgres, maintenance: Connection, template_database: str, finished_databases: list[str]
) -> Iterator[str]:
    """As `database_url`, but one database for all tests of a file: each of them leaves it as it found it."""
    name = _clone(maintenance, template_database)
    yield _url_of(postgres, name)
    finished_databases.append(name)


@pytest.fixture
def empty_url(postgres: Postgres) -> Iterator[str]:
    name = f"empty_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres.url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        yield make_conninfo(postgres.url, dbname=name)
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def conn(database_url: str) -> Iterator[Connection]:
    """A connection to the test's database, not in autocommit; its search path has the projector's tables."""
    with psycopg.connect(database_url, options="-c search_path=projector,public") as connection:
        yield connection


@pytest.fixture
def topic(kafka: str) -> str:
    """A new topic with three partitions on the shared Kafka; `topics.create_topic` creates others."""
    return create_topic(kafka)


@pytest.fixture(scope="module")
def shared_topic(kafka: str) -> str:
    """As `topic`, but one topic for all tests of a file, which write nothing into it."""
    return create_topic(kafka)


@pytest.fixture
def cluster(database_url: str, kafka: str, topic: str, tmp_path: Path) -> Iterator[Cluster]:
    """Members, a producer and the oracle, on the shared Kafka and the test's database."""
    cluster = Cluster(database_url, kafka, topic, tmp_path)
    yield cluster
    cluster.end()


def _url_of(postgres: Postgres, database: str) -> str:
    return urlsplit(postgres.url)._replace(path=f"/{database}").geturl()


def _clone(maintenance: Connection, template: str) -> str:
    """Create a database from this one; returns its name."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    clone = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    maintenance.execute(clone.format(sql.Identifier(name), sql.Identifier(template)))
    return name


def _drop(maintenance: Connection, database: str) -> None:
    maintenance.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))


@pytest.fixture
def server(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A Postgres of the test's own, with the schema. It may be stopped; the machine does not crash, hence no fsync."""
    with start_postgres(tmp_path_factory.mktemp("own"), own=True, options=["fsync=off"]) as server:
        with psycopg.connect(server.url) as conn:
            migrations.up(conn)
        cluster.database_url = server.url
        yield server
        cluster.end()
