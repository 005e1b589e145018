"""A real Postgres and a real Apache Kafka for tests, demo and benchmarks, wherever this runs.

Each of the two is looked for on its own, in this order:

1. an address in the environment: PROJECTOR_TEST_DATABASE_URL (a superuser's), PROJECTOR_TEST_BOOTSTRAP_SERVERS;
2. a Docker engine, through testcontainers;
3. processes of this machine: Postgres from a wheel, Kafka's jars by Maven on Java 17 or later.

PROJECTOR_TEST_PARTS=docker or =local leaves only that one way to start servers. None to be had: `NoParts` says what
helps.
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
from testbed.servers.server import Elsewhere, NoServers, Server, wait_until

__all__ = ["BENCHMARK_JVM", "FAST_BOOT_JVM", "Kafka", "NoServers", "Postgres", "start_kafka", "start_postgres"]

# The first compiler only: a broker that boots in half the time, and is slower once it is warm.
FAST_BOOT_JVM = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
BENCHMARK_JVM = ("-Xms512m", "-Xmx1g", "-XX:+UseG1GC")

BROKER = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    # A killed broker may not register again before its session is over: 9 s by default.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",  # tests are not patient
    "log.retention.ms": "-1",  # records keep their own, old timestamps
    "log.cleaner.dedupe.buffer.size": "4194304",  # the default is a quarter of the heap
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
    """A server in the hand: it may be stopped, frozen and started again, and as a context manager it ends itself."""

    def __init__(self, name: str, server: Server, answers: Callable[[], object], *, keep: bool) -> None:
        self._name, self._server, self._answers, self._keep = name, server, answers, keep

    @property
    def how_to_end(self) -> str:
        """The command that ends it, for a person who kept it."""
        return self._server.how_to_end

    def start(self) -> None:
        """Start it on the port and the data that it had, and wait until it answers."""
        self._server.start()
        try:
            self.wait_until_it_answers(seconds=60)
        except BaseException:
            self._server.end()
            raise

    def wait_until_it_answers(self, *, seconds: float) -> Self:
        """Block until it takes requests; `NoParts` with the tail of its log if it does not."""
        wait_until(self._answers, self._server, self._name, seconds=seconds)
        return self

    def pause(self) -> None:
        """Freeze the whole server: connections stay open, nothing answers."""
        self._server.pause()

    def resume(self) -> None:
        """Let it go on as if nothing had happened."""
        self._server.resume()

    def end(self) -> None:
        """End it for good; what only an address named stays as it is."""
        self._server.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._keep:
            self.end()


class Postgres(Handle):
    """A Postgres server; `url` is its superuser's, of the database `postgres`."""

    def __init__(self, url: str, server: Server, *, keep: bool = False) -> None:
        super().__init__("Postgres", server, lambda: _select_1(url), keep=keep)
        self.url = url

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it: with a checkpoint, or at once, so that the next start recovers from the write-ahead log."""
        self._server.stop(signal.SIGINT if mode == "fast" else signal.SIGQUIT)

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it and start it again: same port, same data, all connections lost."""
        self.stop(mode)
        self.start()


class Kafka(Handle):
    """A Kafka cluster of one node; `addresses` are those of its further listeners, by name."""

    def __init__(
        self, bootstrap_servers: str, server: Server, addresses: Mapping[str, str] | None = None, *, keep: bool = False
    ) -> None:
        super().__init__("Kafka", server, lambda: _knows_a_broker(bootstrap_servers), keep=keep)
        self.bootstrap_servers = bootstrap_servers
        self.addresses = dict(addresses or {})

    def stop(self) -> None:
        """Stop it in good order."""
        self._server.stop(signal.SIGTERM)

    def kill(self) -> None:
        """End its process by SIGKILL; what it had acknowledged is there after `start`."""
        self._server.stop(signal.SIGKILL)


def start_postgres(folder: Path, *, options: Sequence[str] = (), own: bool = False, keep: bool = False) -> Postgres:
    """A Postgres that answers. Data (if local) and log go below `folder`; `options` are server settings, `name=value`.

    Of a Postgres named by the environment the options are its owner's business; `own=True` passes it over, for tests
    that stop servers or need options. `keep=True` leaves it running when we end.
    """
    if not own and (url := os.environ.get("PROJECTOR_TEST_DATABASE_URL")):
        return Postgres(url, Elsewhere("PROJECTOR_TEST_DATABASE_URL")).wait_until_it_answers(seconds=10)

    def docker() -> Postgres:
        return Postgres(*docker_postgres(options=options, keep=keep), keep=keep)

    def local() -> Postgres:
        return Postgres(*local_postgres(folder, options=options, keep=keep), keep=keep)

    remedy = "Set PROJECTOR_TEST_DATABASE_URL, start a Docker engine, or install the project's extra `demo`"
    return _first_that_starts(docker, local, remedy)


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
    """A Kafka that answers. Data (if local) and log go below `folder`; `options` are further broker properties.

    `listeners` are to be had beside the plain one: name, in capitals → security protocol. `advertised` is what clients
    of the plain one are told to connect to, where a proxy stands in between.

    `own` and `keep` as with `start_postgres`; benchmarks give the `jvm` that is fast in the long run.
    """
    if not own and (servers := os.environ.get("PROJECTOR_TEST_BOOTSTRAP_SERVERS")):
        return Kafka(servers, Elsewhere("PROJECTOR_TEST_BOOTSTRAP_SERVERS")).wait_until_it_answers(seconds=10)
    properties = {**BROKER, **(options or {})}

    def docker() -> Kafka:
        return Kafka(*docker_kafka(properties, listeners or {}, advertised, jvm=jvm, keep=keep), keep=keep)

    def local() -> Kafka:
        return Kafka(*local_kafka(folder, properties, listeners or {}, advertised, jvm=jvm, keep=keep), keep=keep)

    remedy = "Set PROJECTOR_TEST_BOOTSTRAP_SERVERS, start a Docker engine, or install Java 17 or later and Maven"
    return _first_that_starts(docker, local, remedy)


def _first_that_starts(docker: Callable[[], HandleT], local: Callable[[], HandleT], remedy: str) -> HandleT:
    only = os.environ.get("PROJECTOR_TEST_PARTS", "")
    if only not in ("", "docker", "local"):
        raise NoServers(f"PROJECTOR_TEST_PARTS={only}: expected docker or local")
    reasons = []
    for way, make in (("docker", docker), ("local", local)):
        if only in ("", way):
            try:
                part = make()
                part.start()
            except NoServers as reason:
                reasons.append(f"{way}: {reason}")
            else:
                return part
    tried = "".join(f"\n- {reason}" for reason in reasons)
    limit = f" (PROJECTOR_TEST_PARTS={only} allows no other way)" if only else ""
    raise NoServers(f"{remedy}{limit}. What was tried:{tried}")


def _select_1(url: str) -> None:
    with psycopg.connect(url, connect_timeout=5) as conn:
        conn.execute("select 1")


def _knows_a_broker(bootstrap_servers: str) -> None:
    """Raise unless the cluster answers and has a broker that takes requests.

    By hand, since each client that fails to start leaves a thread behind: Metadata, version 1, of no topics.
    """
    host, _, port = bootstrap_servers.split(",")[0].rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=5) as connection:
        connection.sendall(struct.pack(">ihhihi", 14, 3, 1, 1, -1, 0))
        answer = connection.recv(12, socket.MSG_WAITALL)
    if len(answer) < 12:
        raise ConnectionError("it hung up")
    _length, _correlation, brokers = struct.unpack(">iii", answer)
    if brokers < 1:
        raise ConnectionError("it knows no broker yet")
