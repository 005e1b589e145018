"""Postgres and Kafka as containers of a Docker engine, through testcontainers."""

import logging
import secrets
import signal
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from testbed.servers.server import Leash, NoServers, free_port

POSTGRES_IMAGE = "postgres:17"
KAFKA_IMAGE = "apache/kafka:4.1.0"

# Run by the leash: waits for the end of its input, then removes the container that its argument names.
REMOVE = """
import sys
sys.stdin.read()
from testcontainers.core.docker_client import DockerClient
DockerClient().client.containers.get(sys.argv[1]).remove(force=True, v=True)
"""


class Container:
    """A server that is a container of ours; unless kept, it is removed when we end, even when we are killed.

    By a leash of ours, not by testcontainers' Ryuk: that one needs an image of its own, removes what a person asked to
    keep, and is one more thing to pull.
    """

    def __init__(self, container: Any, *, keep: bool) -> None:
        self._container, self._keep = container, keep
        self._leash: Leash | None = None
        self._made = False
        self.how_to_end = "nothing: it was never started"

    def start(self) -> None:
        if self._made:
            self._container.get_wrapped_container().start()
            return
        try:
            self._container.start()
        except Exception as error:  # whatever the engine has against it: no image, no space, no right
            self._container.stop()
            raise NoServers(f"the engine does not start {self._container.image}: {error}") from error
        self._made = True
        name = self._container.get_wrapped_container().id[:12]
        self.how_to_end = f"docker rm --force --volumes {name}"
        if not self._keep:
            self._leash = Leash([sys.executable, "-c", REMOVE, name])

    def stop(self, how: signal.Signals) -> None:
        if self.is_up():
            self.resume()
            wrapped = self._container.get_wrapped_container()
            wrapped.kill(signal=how.name)
            wrapped.wait(timeout=30)

    def pause(self) -> None:
        if self._status() == "running":
            self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        if self._status() == "paused":
            self._container.get_wrapped_container().unpause()

    def end(self) -> None:
        if self._made:
            self._container.stop()
            self._made = False
        if self._leash:
            self._leash.release()
            self._leash = None

    def is_up(self) -> bool:
        return self._status() in {"created", "running", "paused", "restarting"}

    def log(self) -> str:
        if not self._made:
            return "(no container)"
        logged: bytes = self._container.get_wrapped_container().logs(tail=25)
        return logged.decode(errors="replace")

    def _status(self) -> str:
        if not self._made:
            return "gone"
        self._container.reload()
        return str(self._container.status)


def docker_postgres(*, options: Sequence[str], keep: bool) -> tuple[str, Container]:
    """A new Postgres container: its superuser's URL, and the server, not started yet."""
    host = _engine_host()
    from testcontainers.community.postgres import PostgresContainer

    port, password = free_port(), secrets.token_urlsafe(12)
    container = PostgresContainer(POSTGRES_IMAGE, username="postgres", password=password, dbname="postgres")
    container.with_env("LANG", "C.UTF-8")  # the encoding and the order of texts, as with local processes
    # We wait ourselves: this one would go on asking a container that has ended, and not show its log.
    container._connect = lambda: None
    settings = [part for option in ("max_connections=200", *options) for part in ("-c", option)]
    container.with_command(["postgres", *settings])
    _publish(container, 5432, host, port)
    return f"postgresql://postgres:{password}@{host}:{port}/postgres", Container(container, keep=keep)


def docker_kafka(
    properties: Mapping[str, str],
    listeners: Mapping[str, str],
    advertised: str | None,
    *,
    jvm: Sequence[str],
    keep: bool,
) -> tuple[str, Container, dict[str, str]]:
    """A new one-node Kafka container: its bootstrap address, the server, not started yet, and the addresses of the
    further listeners.
    """
    host = _engine_host()
    from testcontainers.core.container import DockerContainer

    port = free_port()
    further = {name: f"{host}:{free_port()}" for name in listeners}
    inside = {"OUTSIDE": 9092, "INSIDE": 9094, "CONTROLLER": 9093, **_numbered(further, 9095)}
    # The broker talks to itself (a transaction's markers), and out there is no place that it can reach from inside.
    told = {"OUTSIDE": advertised or f"{host}:{port}", "INSIDE": "localhost:9094", **further}
    protocols = {"OUTSIDE": "PLAINTEXT", "INSIDE": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **listeners}
    ours = {
        "listeners": ",".join(f"{name}://:{number}" for name, number in inside.items()),
        "advertised.listeners": ",".join(f"{name}://{place}" for name, place in told.items()),
        "inter.broker.listener.name": "INSIDE",
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
        "controller.quorum.voters": "1@localhost:9093",
    }
    heap = [option for option in jvm if option.startswith("-Xm")]
    container = DockerContainer(KAFKA_IMAGE).with_env("KAFKA_HEAP_OPTS", " ".join(heap))
    # In the image's own place for them, whose default names another collector: Java refuses two.
    container.with_env("KAFKA_JVM_PERFORMANCE_OPTS", " ".join(option for option in jvm if option not in heap))
    for name, value in {**properties, **ours}.items():
        container.with_env(_variable(name), value)
    _publish(container, 9092, host, port)
    for name, place in further.items():
        _publish(container, inside[name], host, int(place.rpartition(":")[2]))
    return f"{host}:{port}", Container(container, keep=keep), further


def _numbered(names: Iterable[str], first: int) -> dict[str, int]:
    return {name: number for number, name in enumerate(names, first)}


def _engine_host() -> str:
    """The host at which the engine publishes ports; `NoParts` if there is no engine."""
    try:
        from testcontainers.core.config import testcontainers_config
        from testcontainers.core.docker_client import DockerClient, get_docker_host
    except ImportError as error:
        raise NoServers("testcontainers is not installed") from error
    testcontainers_config.ryuk_disabled = True  # see Container
    logging.getLogger("testcontainers.core.docker_client").setLevel(logging.WARNING)  # says where it looks, each time
    try:
        _knock(get_docker_host() or "unix:///var/run/docker.sock")
        engine = DockerClient()
        engine.client.ping()
        host = str(engine.host())
        engine.client.close()
    except Exception as error:  # the reasons why an engine cannot be asked are many, and none of them is ours
        raise NoServers(f"no Docker engine answers ({error})") from error
    return "127.0.0.1" if host == "localhost" else host


def _knock(address: str) -> None:
    """Raise if nobody listens at the engine's socket: asked there, the client would lose one of its own (a warning)."""
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(address.removeprefix("unix://"))


def _publish(container: Any, inside: int, host: str, port: int) -> None:
    # Fixed, since a restarted container would get another port; and for this machine only, if the engine runs on it.
    container.ports[f"{inside}/tcp"] = (host, port) if host == "127.0.0.1" else port


def _variable(name: str) -> str:
    """The variable by which the image apache/kafka takes a broker property."""
    return "KAFKA_" + name.replace("-", "___").replace("_", "__").replace(".", "_").upper()
