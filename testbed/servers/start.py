"""Starts a real Postgres and a real Apache Kafka for tests, demo and benchmarks.

For each of the two it takes the first that works:

1. an external server: TESTBED_DATABASE_URL (of a superuser), TESTBED_BOOTSTRAP_SERVERS;
2. a container of a Docker engine, by testcontainers;
3. a local process: Postgres from a wheel; Kafka from jars of Maven, on Java 17 or later.

TESTBED_SERVERS=docker or =local allows only that way to start servers. TESTBED_POSTGRES_VERSION=17 chooses a major
version. If nothing works, ServerUnavailable lists what was tried and what to install.
"""

import os
import signal
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

import psycopg

from testbed.servers.containers import docker_kafka, docker_postgres
from testbed.servers.processes import local_kafka, local_postgres
from testbed.servers.server import ExternalServer, Server, ServerUnavailable, wait_until_ready

__all__ = ["BENCHMARK_JVM", "FAST_BOOT_JVM", "Kafka", "Postgres", "ServerUnavailable", "start_kafka", "start_postgres"]

# Only the first compiler tier: the broker starts in half the time, and is slower once it is warm.
FAST_BOOT_JVM = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
BENCHMARK_JVM = ("-Xms512m", "-Xmx1g", "-XX:+UseG1GC")

BROKER_PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    # A killed broker cannot register again before its session has timed out, by default after 9 s.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",  # tests shorten the session timeout
    "log.retention.ms": "-1",  # the records of tests have old timestamps
    "log.cleaner.dedupe.buffer.size": "4194304",  # the default is a quarter of the heap
    "log.cleaner.backoff.ms": "200",  # tests await compaction; the default is 15 s
    "message.max.bytes": "20971520",
    "replica.fetch.max.bytes": "20971520",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
}


HandleT = TypeVar("HandleT", bound="Handle")


class Handle:
    """A started server. As a context manager it ends the server, unless `keep` is set."""

    def __init__(self, name: str, server: Server, probe: Callable[[], object], *, keep: bool) -> None:
        self._name, self._server, self._probe, self._keep = name, server, probe, keep

    @property
    def stop_command(self) -> str:
        """The shell command that stops it, for a person who kept it."""
        return self._server.stop_command

    def start(self) -> None:
        """Start it on the same port with the same data, and wait until it answers."""
        self._server.start()
        try:
            self.wait_until_ready(seconds=60)
        except BaseException:
            self._server.end()
            raise

    def wait_until_ready(self, *, seconds: float) -> Self:
        """Block until it answers requests; raises ServerUnavailable with the end of its log if it does not."""
        wait_until_ready(self._probe, self._server, self._name, seconds=seconds)
        return self

    def pause(self) -> None:
        """Freeze the whole server: connections stay open, nothing answers."""
        self._server.pause()

    def resume(self) -> None:
        """Continue after `pause`."""
        self._server.resume()

    def end(self) -> None:
        """Stop it permanently; an external server keeps running."""
        self._server.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._keep:
            self.end()


class Postgres(Handle):
    """A Postgres server; `url` is that of its superuser, for the database `postgres`."""

    def __init__(self, url: str, server: Server, *, keep: bool = False) -> None:
        super().__init__("Postgres", server, lambda: select_1(url), keep=keep)
        self.url = url

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it with a checkpoint (`fast`), or at once, so that the next start recovers from the write-ahead log."""
        self._server.stop(signal.SIGINT if mode == "fast" else signal.SIGQUIT)

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it and start it again on the same port with the same data; all connections are lost."""
        self.stop(mode)
        self.start()


class Kafka(Handle):
    """A Kafka cluster of one node; `addresses` are those of its additional listeners, by name."""

    def __init__(
        self, bootstrap_servers: str, server: Server, addresses: Mapping[str, str] | None = None, *, keep: bool = False
    ) -> None:
        super().__init__("Kafka", server, lambda: _require_broker(bootstrap_servers), keep=keep)
        self.bootstrap_servers = bootstrap_servers
        self.addresses = dict(addresses or {})

    def stop(self) -> None:
        """Shut it down cleanly."""
        self._server.stop(signal.SIGTERM)

    def kill(self) -> None:
        """End its process by SIGKILL; acknowledged records are there again after `start`."""
        self._server.stop(signal.SIGKILL)


def start_postgres(folder: Path, *, options: Sequence[str] = (), own: bool = False, keep: bool = False) -> Postgres:
    """Start a Postgres, or use the external one, and wait until it answers.

    `folder` takes the log and, for a local process, the data. `options` are server settings, `name=value`; an external
    server ignores them. `own=True` starts a server even if there is an external one, for tests that stop servers or
    need options. `keep=True` leaves it running when this process ends. Raises ServerUnavailable.
    """
    if not own and (url := os.environ.get("TESTBED_DATABASE_URL")):
        return Postgres(url, ExternalServer("TESTBED_DATABASE_URL")).wait_until_ready(seconds=10)

    def docker() -> Postgres:
        return Postgres(*docker_postgres(options=options, keep=keep), keep=keep)

    def local() -> Postgres:
        return Postgres(*local_postgres(folder, options=options, keep=keep), keep=keep)

    remedy = "Set TESTBED_DATABASE_URL, start a Docker engine, or install the project's extra `dev`"
    return _start_docker_or_local(docker, local, remedy)


def start_kafka(
    folder: Path,
    *,
    options: Mapping[str, str] | None = None,
    listeners: Mapping[str, str] | None = None,
    advertised: str | None = None,
    jvm: Sequence[str] = FAST_BOOT_JVM,
    own: bool = False,
    keep: bool = False,
) -> Kafka:
    """Start a Kafka, or use the external one, and wait until it answers. Raises ServerUnavailable.

    `folder`, `own` and `keep` as with `start_postgres`. `options` are additional broker properties. `listeners` are
    additional listeners: name in capitals → security protocol. `advertised` is the address that the plain listener
    advertises to clients, where a proxy is in front of it. `jvm` are options of Java: tests take a short start,
    benchmarks take the rate of a warm server.
    """
    if not own and (servers := os.environ.get("TESTBED_BOOTSTRAP_SERVERS")):
        return Kafka(servers, ExternalServer("TESTBED_BOOTSTRAP_SERVERS")).wait_until_ready(seconds=10)
    properties = {**BROKER_PROPERTIES, **(options or {})}

    def docker() -> Kafka:
        return Kafka(*docker_kafka(properties, listeners or {}, advertised, jvm=jvm, keep=keep), keep=keep)

    def local() -> Kafka:
        return Kafka(*local_kafka(folder, properties, listeners or {}, advertised, jvm=jvm, keep=keep), keep=keep)

    remedy = "Set TESTBED_BOOTSTRAP_SERVERS, start a Docker engine, or install Java 17 or later and Maven"
    return _start_docker_or_local(docker, local, remedy)


def _start_docker_or_local(docker: Callable[[], HandleT], local: Callable[[], HandleT], remedy: str) -> HandleT:
    only = os.environ.get("TESTBED_SERVERS", "")
    if only not in ("", "docker", "local"):
        raise ServerUnavailable(f"TESTBED_SERVERS={only}: expected docker or local")
    reasons = []
    for way, create in (("docker", docker), ("local", local)):
        if only in ("", way):
            try:
                server = create()
                server.start()
            except ServerUnavailable as reason:
                reasons.append(f"{way}: {reason}")
            else:
                return server
    tried = "".join(f"\n- {reason}" for reason in reasons)
    limit = f" (TESTBED_SERVERS={only} allows no other way)" if only else ""
    raise ServerUnavailable(f"{remedy}{limit}. Tried:{tried}")


def select_1(url: str) -> None:
    # In autocommit, because a pooler in statement mode refuses transactions.
    with psycopg.connect(url, connect_timeout=5, autocommit=True) as conn:
        conn.execute("select 1")


def _require_broker(bootstrap_servers: str) -> None:
    """Raise OSError unless the cluster answers and has a registered broker.

    It sends the request itself (Metadata, version 1, no topics), since a client that fails to start leaves a thread
    behind.
    """
    host, _, port = bootstrap_servers.split(",")[0].rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=5) as connection:
        connection.sendall(struct.pack(">ihhihi", 14, 3, 1, 1, -1, 0))
        answer = connection.recv(12, socket.MSG_WAITALL)
    if len(answer) < 12:
        raise ConnectionError("the broker closed the connection")
    _length, _correlation, brokers = struct.unpack(">iii", answer)
    if brokers < 1:
        raise ConnectionError("no broker is registered yet")
