"""The demo's stage: a Postgres and a Kafka that answer, and on them a database and a topic of its own."""

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

from testbed.servers.start import Kafka, Postgres, start_kafka, start_postgres

PARTITIONS = 3


class Stage(NamedTuple):
    """Where the demo plays."""

    folder: Path
    postgres: Postgres
    kafka: Kafka
    database: str
    topic: str

    @property
    def database_url(self) -> str:
        return urlsplit(self.postgres.url)._replace(path=f"/{self.database}").geturl()

    @property
    def where_postgres(self) -> str:
        """For a person to read, without the password."""
        return f"{self.postgres.url.rpartition('@')[2].partition('/')[0]}, database {self.database}"

    @property
    def where_kafka(self) -> str:
        """For a person to read."""
        return f"{self.kafka.bootstrap_servers}, topic {self.topic}"

    @property
    def books(self) -> Path:
        """The recording of all that the broker acknowledged."""
        return self.folder / "acknowledged.jsonl"

    @property
    def settings(self) -> dict[str, str]:
        """What every command of the projector needs to know here."""
        return {
            "PROJECTOR_DATABASE_URL": self.database_url,
            "PROJECTOR_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "PROJECTOR_TOPIC": self.topic,
            "PROJECTOR_GROUP_ID": self.topic,
        }


@contextmanager
def build(*, keep: bool) -> Iterator[Stage]:
    """Start the parts, make database and topic; take it all away again, unless it is kept. Raises NoParts."""
    name = secrets.token_hex(3)
    folder = Path(tempfile.mkdtemp(prefix="projector-demo-"))
    folder.chmod(0o755)  # a Postgres that root starts runs as somebody else
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stage = Stage(folder, *_start_both(folder, stack, keep), f"projector_demo_{name}", f"activity-log-{name}")
        _make_database(stage)
        stack.callback(_drop_database, stage)
        _make_topic(stage)
        stack.callback(_delete_topic, stage)
        if keep:
            stack.pop_all()  # from here on it stays, however this ends
        yield stage


def _start_both(folder: Path, stack: ExitStack, keep: bool) -> tuple[Postgres, Kafka]:
    """Both at once; what did start is ended by the stack, also where the other did not."""
    with ThreadPoolExecutor(2) as pool:
        postgres = pool.submit(start_postgres, folder, keep=keep)
        kafka = pool.submit(start_kafka, folder, keep=keep)
        if postgres.exception() is None:
            stack.callback(postgres.result().end)
        if kafka.exception() is None:
            stack.callback(kafka.result().end)
        return postgres.result(), kafka.result()


def _make_database(stage: Stage) -> None:
    with psycopg.connect(stage.postgres.url, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(stage.database)))


def _drop_database(stage: Stage) -> None:
    """On a server of somebody else nothing of ours stays; one that is gone took it along."""
    with suppress(psycopg.Error), psycopg.connect(stage.postgres.url, autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(stage.database)))


def _make_topic(stage: Stage) -> None:
    admin = KafkaAdminClient(bootstrap_servers=stage.kafka.bootstrap_servers)
    try:
        # the platform's records are old: retention by time would delete them at once
        wanted = {"num_partitions": PARTITIONS, "replication_factor": 1, "configs": {"retention.ms": "-1"}}
        admin.create_topics({stage.topic: wanted}, wait_for_metadata=True)
    finally:
        admin.close()


def _delete_topic(stage: Stage) -> None:
    with suppress(Exception):  # as with the database
        admin = KafkaAdminClient(bootstrap_servers=stage.kafka.bootstrap_servers)
        try:
            admin.delete_topics([stage.topic])
        finally:
            admin.close()
