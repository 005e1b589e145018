"""The field that all contenders meet on: a real Kafka that holds the records, and a real Postgres."""

import itertools
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg
from kafka import KafkaAdminClient
from psycopg import sql
from rich.console import Console

from benchmarks.recording import BENCHMARK
from projector import migrations
from projector.demo.parts import BENCHMARK_JVM, start_kafka, start_postgres
from projector.demo.platform import records
from projector.demo.producer import publish

PARTITIONS = 6
TOPIC = "activity-log"


class Field(NamedTuple):
    """Where to find the records, and how many there are."""

    bootstrap_servers: str
    postgres_url: str
    records: int
    topic: str

    def database(self) -> str:
        """The address of a fresh database with our schema."""
        name = f"bench_{secrets.token_hex(4)}"
        with psycopg.connect(self.postgres_url, autocommit=True) as server:
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = urlsplit(self.postgres_url)._replace(path=f"/{name}").geturl()
        with psycopg.connect(url) as conn:
            migrations.up(conn)
        return url


@contextmanager
def prepared(folder: Path, counts: Sequence[int], console: Console) -> Iterator[list[Field]]:
    """Start both servers as they come, durable; for each of `counts`, a field of so many records of the platform."""
    for name in ("postgres", "kafka"):
        (folder / name).mkdir()
    with (
        start_postgres(folder / "postgres", options=["shared_buffers=512MB", "max_wal_size=4GB"]) as postgres,
        start_kafka(folder / "kafka", jvm=BENCHMARK_JVM) as kafka,
    ):
        fields = [Field(kafka.bootstrap_servers, postgres.url, count, f"{TOPIC}-{count}") for count in counts]
        for field in fields:
            _publish(field, console)
        yield fields


def _publish(field: Field, console: Console) -> None:
    admin = KafkaAdminClient(bootstrap_servers=field.bootstrap_servers)
    wanted = {"num_partitions": PARTITIONS, "configs": {"retention.ms": "-1"}}
    admin.create_topics({field.topic: wanted}, wait_for_metadata=True)
    admin.close()
    began, size = time.monotonic(), 0

    def weigh(record: object) -> None:
        nonlocal size
        size += len(getattr(record, "value", None) or b"")

    endless = records(BENCHMARK._replace(delegations=field.records))
    log = itertools.islice(endless, field.records)
    publish(log, bootstrap_servers=field.bootstrap_servers, topic=field.topic, keep=weigh)
    console.print(
        f"{field.records:,} records of {size / field.records:,.0f} bytes in {PARTITIONS} partitions, "
        f"published in {time.monotonic() - began:.0f} s"
    )
