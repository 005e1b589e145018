"""The field that all contenders meet on: a real Kafka that holds the records, and a real Postgres."""

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

from benchmarks.measured import NotHere
from benchmarks.recording import PARTITIONS, Made
from projector.postgres import migrations
from testbed.producer import connect
from testbed.servers.processes import KAFKA
from testbed.servers.start import BENCHMARK_JVM, start_kafka, start_postgres
from testbed.workload import Mix, partition_of, records

UNANSWERED = 20_000
_DELEGATION = re.compile(rb'"activity_type": ?"delegation"|^{"delegation_id"')
_REQUEST = re.compile(rb'"method": ?"delegate"|^{"delegation_id"')
_ID = re.compile(rb'"delegation_id(?:\\)?": ?(?:\\)?"([-0-9a-f]+)')
DEMO_MIX = Mix(callers=400, live=1000)


class Servers(NamedTuple):
    """Where both of them answer."""

    bootstrap_servers: str
    postgres_url: str

    @property
    def versions(self) -> dict[str, str]:
        """What answers: a server of the environment may be any."""
        with psycopg.connect(self.postgres_url) as conn:
            postgres = str(conn.info.parameter_status("server_version"))
        return {"postgres": postgres, "kafka, unless the environment or Docker had one": KAFKA}

    def field(self, topic: str, log: Iterable[Made], console: Console) -> "Environment":
        """A topic of its own for these records, and how many of them say something of a delegation."""
        create_topic(self.bootstrap_servers, topic)
        began = time.monotonic()
        count, events, delegations, size = publish(self.bootstrap_servers, topic, log)
        seconds = time.monotonic() - began
        mean = size / max(count, 1)
        console.print(f"{topic}: {count:,} records of {mean:,.0f} bytes on average, published in {seconds:.0f} s")
        return Environment(self.bootstrap_servers, self.postgres_url, topic, count, events, delegations, mean)


class Environment(NamedTuple):
    """Where to find the records, how many there are, and how many delegation events of how many delegations."""

    bootstrap_servers: str
    postgres_url: str
    topic: str
    records: int
    events: int
    delegations: int
    mean_bytes: float

    def database(self) -> str:
        """The address of a fresh database with our schema."""
        name = f"bench_{secrets.token_hex(4)}"
        with psycopg.connect(self.postgres_url, autocommit=True) as server:
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = urlsplit(self.postgres_url)._replace(path=f"/{name}").geturl()
        with psycopg.connect(url) as conn:
            migrations.up(conn)
        return url

    def require_rows(self, url: str) -> None:
        """Raises NotHere where a contender has not written a row for each delegation, whatever it says of itself.

        One that does not fold may have more: a row for a result whose request the log does not hold any more.
        """
        with psycopg.connect(url) as conn:
            found = conn.execute("SELECT count(*) FROM public.delegations").fetchone()
        if not found or found[0] < self.delegations:
            raise NotHere(f"it wrote {found and found[0]:,} rows, expected {self.delegations:,}")

    def drop(self, url: str) -> None:
        """What one contender wrote is no burden on the next."""
        name = urlsplit(url).path.removeprefix("/")
        with psycopg.connect(self.postgres_url, autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            server.execute("CHECKPOINT")


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Start both as they come, durable."""
    folder.chmod(0o755)  # the server runs as a user of its own
    for name in ("postgres", "kafka"):
        (folder / name).mkdir()
    with (
        start_postgres(folder / "postgres", options=["shared_buffers=512MB", "max_wal_size=4GB"]) as postgres,
        start_kafka(folder / "kafka", jvm=BENCHMARK_JVM) as kafka,
    ):
        yield Servers(kafka.bootstrap_servers, postgres.url)


def create_topic(bootstrap_servers: str, topic: str, partitions: int = PARTITIONS) -> None:
    """A topic that keeps what it gets, however old."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers)
    wanted = {"num_partitions": partitions, "configs": {"retention.ms": "-1"}}
    admin.create_topics({topic: wanted}, wait_for_metadata=True)
    admin.close()


def publish(bootstrap_servers: str, topic: str, log: Iterable[Made]) -> tuple[int, int, int, int]:
    """Send records in order, each to its partition; records, events and delegations among them, and bytes."""
    unanswered: deque[Any] = deque()
    count = events = size = 0
    delegations: set[bytes] = set()
    with closing(connect(bootstrap_servers)) as producer:
        for record in log:
            sent = producer.send(
                topic, record.value, record.key, partition=record.partition, timestamp_ms=record.timestamp
            )
            unanswered.append(sent)
            if len(unanswered) > UNANSWERED:
                unanswered.popleft().get(60)
            count += 1
            if record.value:
                size += len(record.value)
                if _DELEGATION.search(record.value):
                    events += 1
                    if _REQUEST.search(record.value):  # a result may be early for one beyond the end of the log
                        delegations.update(_ID.findall(record.value))
        producer.flush()
        for sent in unanswered:
            sent.get(60)
    return count, events, len(delegations), size


def demo_mix(count: int) -> Iterator[Made]:
    """The first `count` records that the demo's platform writes: garbage, duplicates and early results among them."""
    endless = records(DEMO_MIX._replace(delegations=count))
    for record in islice(endless, count):
        yield Made(partition_of(record.key, PARTITIONS), record.key, record.value, record.timestamp)
