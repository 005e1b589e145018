"""The environment of all contenders: a real Kafka with the records in it, and a real Postgres."""

import re
import secrets
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psycopg
from kafka import KafkaAdminClient
from psycopg import sql
from rich.console import Console

from benchmarks.measurement import Failed
from benchmarks.recording import PARTITIONS, Record
from projector.postgres import migrations
from testbed.producer import connect
from testbed.servers.processes import KAFKA_VERSION
from testbed.servers.start import BENCHMARK_JVM, start_kafka, start_postgres
from testbed.workload import Mix, partition_of, records

MAX_UNACKNOWLEDGED = 20_000
_DELEGATION = re.compile(rb'"activity_type": ?"delegation"|^{"delegation_id"')
_REQUEST = re.compile(rb'"method": ?"delegate"|^{"delegation_id"')
_ID = re.compile(rb'"delegation_id(?:\\)?": ?(?:\\)?"([-0-9a-f]+)')
# Not every contender reads wrapped values, numbers as times and verdicts.
DEMO_MIX = Mix(callers=400, live=1000, wrapped_share=0, numeric_share=0, verdicts=False)


class Servers(NamedTuple):
    """The addresses of both servers."""

    bootstrap_servers: str
    postgres_url: str

    @property
    def versions(self) -> dict[str, str]:
        """Versions of both servers; an external Kafka may have another one."""
        with psycopg.connect(self.postgres_url) as conn:
            postgres = str(conn.info.parameter_status("server_version"))
        return {"postgres": postgres, "kafka, unless the environment or Docker had one": KAFKA_VERSION}

    def publish(
        self, topic: str, log: Iterable[Record], console: Console, *, compression: str | None = None
    ) -> "Environment":
        """Create a topic with these records; returns it with its counts."""
        create_topic(self.bootstrap_servers, topic)
        started = time.monotonic()
        count, events, delegations, size = publish(self.bootstrap_servers, topic, log, compression=compression)
        seconds = time.monotonic() - started
        mean = size / max(count, 1)
        console.print(f"{topic}: {count:,} records of {mean:,.0f} bytes on average, published in {seconds:.0f} s")
        return Environment(self.bootstrap_servers, self.postgres_url, topic, count, events, delegations, mean)


class Environment(NamedTuple):
    """A topic with records in it; `events` counts delegation events, `mean_bytes` is per record."""

    bootstrap_servers: str
    postgres_url: str
    topic: str
    records: int
    events: int
    delegations: int
    mean_bytes: float

    def create_database(self) -> str:
        """Create a database with the schema of the projector; returns its URL."""
        name = f"bench_{secrets.token_hex(4)}"
        with psycopg.connect(self.postgres_url, autocommit=True) as server:
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = urlsplit(self.postgres_url)._replace(path=f"/{name}").geturl()
        with psycopg.connect(url) as conn:
            migrations.up(conn)
        return url

    def require_rows(self, url: str) -> None:
        """Raises Failed unless the contender has written at least one row per delegation.

        A contender that does not fold can have more rows: for results whose request is beyond the end of the log.
        """
        with psycopg.connect(url) as conn:
            counted = conn.execute("SELECT count(*) FROM public.delegations").fetchone()
        if not counted or counted[0] < self.delegations:
            raise Failed(f"it wrote {counted and counted[0]:,} rows, expected {self.delegations:,}")

    def view(self, url: str) -> tuple[str, str]:
        """Return the topic, and a checksum of all rows. Raises Failed as `require_rows` does."""
        self.require_rows(url)
        with psycopg.connect(url) as conn:
            found: Any = conn.execute(
                "SELECT count(*), md5(string_agg(md5(d::text), '' ORDER BY delegation_id)) FROM public.delegations AS d"
            ).fetchone()
        return self.topic, f"{found[0]:,} rows, {found[1]}"

    def drop_database(self, url: str) -> None:
        """Drop a database, so that its rows do not slow down the next contender."""
        name = urlsplit(url).path.removeprefix("/")
        with psycopg.connect(self.postgres_url, autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            server.execute("CHECKPOINT")


@contextmanager
def start_servers(folder: Path) -> Iterator[Servers]:
    """Start both servers, with fsync."""
    folder.chmod(0o755)  # the server runs as another user
    for name in ("postgres", "kafka"):
        (folder / name).mkdir()
    with (
        start_postgres(folder / "postgres", options=["shared_buffers=512MB", "max_wal_size=4GB"]) as postgres,
        start_kafka(folder / "kafka", jvm=BENCHMARK_JVM) as kafka,
    ):
        yield Servers(kafka.bootstrap_servers, postgres.url)


def create_topic(bootstrap_servers: str, topic: str, partitions: int = PARTITIONS) -> None:
    """Create a topic that keeps records of any age."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers)
    wanted = {"num_partitions": partitions, "configs": {"retention.ms": "-1"}}
    admin.create_topics({topic: wanted}, wait_for_metadata=True)
    admin.close()


def publish(
    bootstrap_servers: str, topic: str, log: Iterable[Record], *, compression: str | None = None
) -> tuple[int, int, int, int]:
    """Send records in order, each to its partition; returns counts of records, events, delegations and bytes."""
    unacknowledged: deque[Any] = deque()
    count = events = size = 0
    delegations: set[bytes] = set()
    with closing(connect(bootstrap_servers, compression=compression)) as producer:
        for record in log:
            sent = producer.send(
                topic, record.value, record.key, partition=record.partition, timestamp_ms=record.timestamp
            )
            unacknowledged.append(sent)
            if len(unacknowledged) > MAX_UNACKNOWLEDGED:
                unacknowledged.popleft().get(60)
            count += 1
            if record.value:
                size += len(record.value)
                if _DELEGATION.search(record.value):
                    events += 1
                    if _REQUEST.search(record.value):  # the request of an early result can be beyond the end of the log
                        delegations.update(_ID.findall(record.value))
        producer.flush()
        for sent in unacknowledged:
            sent.get(60)
    return count, events, len(delegations), size


def demo_mix(count: int) -> Iterator[Record]:
    """Yield the first records of the demo's platform; some are malformed, repeated or early."""
    log = records(DEMO_MIX._replace(delegations=count))
    for record in islice(log, count):
        yield Record(partition_of(record.key, PARTITIONS), record.key, record.value, record.timestamp)
