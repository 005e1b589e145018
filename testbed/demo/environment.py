"""The demo's environment: a Postgres with its own database, and a Kafka with its own topic."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg
from kafka import KafkaAdminClient
from psycopg import sql

from testbed.servers.start import Kafka, Postgres, ServerUnavailable, start_kafka, start_postgres

PARTITIONS = 3
PREFIX = "projector-demo-"
"""Of the names of folders."""


class Environment(NamedTuple):
    """Where the demo runs; `folder` has the recording and all log files."""

    folder: Path
    postgres: Postgres
    kafka: Kafka
    database: str
    topic: str

    @property
    def database_url(self) -> str:
        return urlsplit(self.postgres.url)._replace(path=f"/{self.database}").geturl()

    @property
    def postgres_name(self) -> str:
        """Address and database, without the password."""
        return f"{self.postgres.url.rpartition('@')[2].partition('/')[0]}, database {self.database}"

    @property
    def kafka_name(self) -> str:
        """Address and topic."""
        return f"{self.kafka.bootstrap_servers}, topic {self.topic}"

    @property
    def recording(self) -> Path:
        """The recording of all records that the broker acknowledged."""
        return self.folder / "acknowledged.jsonl"

    @property
    def token_file(self) -> Path:
        """The token that logs in to the dashboard."""
        return self.folder / "dashboard-token"

    @property
    def settings(self) -> dict[str, str]:
        """The settings of every command of the projector here."""
        return {
            "PROJECTOR_DATABASE_URL": self.database_url,
            "PROJECTOR_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "PROJECTOR_TOPIC": self.topic,
            "PROJECTOR_GROUP_ID": self.topic,
            "PROJECTOR_DASHBOARD_ADDRESS": "127.0.0.1:0",
            "PROJECTOR_DASHBOARD_TOKENS_FILE": str(self.token_file),
        }


@contextmanager
def create(*, keep: bool) -> Iterator[Environment]:
    """Start the servers, create database and topic; remove all of it at the end, unless `keep` is set.

    Raises ServerUnavailable.
    """
    name = secrets.token_hex(3)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    folder.chmod(0o755)  # a Postgres that root starts runs as another user
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        servers = _start_both(folder, stack, keep)
        environment = Environment(folder, *servers, f"projector_demo_{name}", f"activity-log-{name}")
        _create_places(environment, stack)
        if keep:
            stack.pop_all()  # from here on nothing is removed, not even after an error
        yield environment


@contextmanager
def beside(environment: Environment) -> Iterator[Environment]:
    """Create another database, topic and folder for log files; database and topic are removed at the end."""
    folder = environment.folder / "ends"
    folder.mkdir()
    other = environment._replace(
        folder=folder, database=f"{environment.database}_ends", topic=f"{environment.topic}-ends"
    )
    with ExitStack() as stack:
        _create_places(other, stack)
        yield other


def _create_places(environment: Environment, stack: ExitStack) -> None:
    """Create database and topic, which the stack removes, and a token that only this user can read."""
    environment.token_file.touch(mode=0o600)
    environment.token_file.write_text(f"{secrets.token_hex(24)}\n")
    _create_database(environment)
    stack.callback(_drop_database, environment)
    _create_topic(environment)
    stack.callback(_delete_topic, environment)


def _start_both(folder: Path, stack: ExitStack, keep: bool) -> tuple[Postgres, Kafka]:
    """Start both at once; the stack ends the one that started, even if the other did not start."""
    with ThreadPoolExecutor(2) as pool:
        postgres = pool.submit(_start_postgres, folder, keep)
        kafka = pool.submit(start_kafka, folder, keep=keep)
        if postgres.exception() is None:
            stack.callback(postgres.result().end)
        if kafka.exception() is None:
            stack.callback(kafka.result().end)
        return postgres.result(), kafka.result()


def _start_postgres(folder: Path, keep: bool) -> Postgres:
    """A server that a change feed can read."""
    server = start_postgres(folder, options=["wal_level=logical"], keep=keep)
    with psycopg.connect(server.url) as conn:
        [(wal_level,)] = conn.execute("SHOW wal_level").fetchall()
    if wal_level != "logical":
        server.end()
        raise ServerUnavailable(f"TESTBED_DATABASE_URL: wal_level is {wal_level}, and a change feed needs logical")
    return server


def _create_database(environment: Environment) -> None:
    with psycopg.connect(environment.postgres.url, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(environment.database)))


def _drop_database(environment: Environment) -> None:
    """Leave nothing on an external server; a server that has ended already needs no cleanup."""
    with suppress(psycopg.Error), psycopg.connect(environment.postgres.url, autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(environment.database)))


def _create_topic(environment: Environment) -> None:
    admin = KafkaAdminClient(bootstrap_servers=environment.kafka.bootstrap_servers)
    try:
        # the platform's records are old: retention by time would delete them at once
        new_topic = {"num_partitions": PARTITIONS, "replication_factor": 1, "configs": {"retention.ms": "-1"}}
        admin.create_topics({environment.topic: new_topic}, wait_for_metadata=True)
    finally:
        admin.close()


def _delete_topic(environment: Environment) -> None:
    with suppress(Exception):  # as for the database
        admin = KafkaAdminClient(bootstrap_servers=environment.kafka.bootstrap_servers)
        try:
            admin.delete_topics([environment.topic])
        finally:
            admin.close()
