"""Postgres and Kafka as containers of a Docker engine, by testcontainers."""

import logging
import secrets
import signal
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from testbed.servers.server import CleanupProcess, ServerUnavailable, free_port, postgres_version

KAFKA_IMAGE = "apache/kafka:4.1.0"

# The cleanup process runs it: it waits for the end of its input, then removes the container named by its argument.
REMOVE_CONTAINER = """
import sys
sys.stdin.read()
from testcontainers.core.docker_client import DockerClient
DockerClient().client.containers.get(sys.argv[1]).remove(force=True, v=True)
"""


class Container:
    """A server in a container; unless `keep` is set, it is removed when this process ends, even by SIGKILL.

    A CleanupProcess removes it, not testcontainers' Ryuk: Ryuk needs another image and would remove a container that a
    person asked to keep.
    """

    def __init__(self, container: Any, *, keep: bool) -> None:
        self._container, self._keep = container, keep
        self._cleanup: CleanupProcess | None = None
        self._created = False
        self.stop_command = "# nothing to stop: the container was never started"

    def start(self) -> None:
        if self._created:
            self._container.get_wrapped_container().start()
            return
        try:
            self._container.start()
        except Exception as error:  # no image, no disk space, no permission: the engine raises many types
            self._container.stop()
            raise ServerUnavailable(f"the engine cannot start {self._container.image}: {error}") from error
        self._created = True
        name = self._container.get_wrapped_container().id[:12]
        self.stop_command = f"docker rm --force --volumes {name}"
        if not self._keep:
            self._cleanup = CleanupProcess([sys.executable, "-c", REMOVE_CONTAINER, name])

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
        if self._created:
            self._container.stop()
            self._created = False
        if self._cleanup:
            self._cleanup.cancel()
            self._cleanup = None

    def is_up(self) -> bool:
        return self._status() in {"created", "running", "paused", "restarting"}

    def log(self) -> str:
        if not self._created:
            return "(no container)"
        lines: bytes = self._container.get_wrapped_container().logs(tail=25)
        return lines.decode(errors="replace")

    def _status(self) -> str:
        if not self._created:
            return "gone"
        self._container.reload()
        return str(self._container.status)


def docker_postgres(*, options: Sequence[str], keep: bool) -> tuple[str, Container]:
    """Create a Postgres container; returns its superuser's URL and the server, not started yet."""
    host = _engine_host()
    from testcontainers.community.postgres import PostgresContainer

    port, password = free_port(), secrets.token_urlsafe(12)
    container = PostgresContainer(
        f"postgres:{postgres_version() or 17}", username="postgres", password=password, dbname="postgres"
    )
    container.with_env("LANG", "C.UTF-8")  # the same encoding and collation as with local processes
    # `wait_until_ready` waits instead: this one would retry a container that has ended, and not show its log.
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
    """Create a one-node Kafka container.

    Returns its bootstrap address, the server (not started yet) and the addresses of the additional listeners.
    """
    host = _engine_host()
    from testcontainers.core.container import DockerContainer

    port = free_port()
    additional = {name: f"{host}:{free_port()}" for name in listeners}
    container_ports = {"OUTSIDE": 9092, "INSIDE": 9094, "CONTROLLER": 9093, **_numbered(additional, 9095)}
    # The broker connects to itself (to write transaction markers), and it cannot reach the outside address from inside.
    advertised_addresses = {"OUTSIDE": advertised or f"{host}:{port}", "INSIDE": "localhost:9094", **additional}
    protocols = {"OUTSIDE": "PLAINTEXT", "INSIDE": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **listeners}
    listener_properties = {
        "listeners": ",".join(f"{name}://:{port_inside}" for name, port_inside in container_ports.items()),
        "advertised.listeners": ",".join(f"{name}://{address}" for name, address in advertised_addresses.items()),
        "inter.broker.listener.name": "INSIDE",
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
        "controller.quorum.voters": "1@localhost:9093",
    }
    heap = [option for option in jvm if option.startswith("-Xm")]
    container = DockerContainer(KAFKA_IMAGE).with_env("KAFKA_HEAP_OPTS", " ".join(heap))
    # The image's default for this variable names another garbage collector, and Java refuses two of them.
    container.with_env("KAFKA_JVM_PERFORMANCE_OPTS", " ".join(option for option in jvm if option not in heap))
    for name, value in {**properties, **listener_properties}.items():
        container.with_env(broker_variable(name), value)
    _publish(container, 9092, host, port)
    for name, address in additional.items():
        _publish(container, container_ports[name], host, int(address.rpartition(":")[2]))
    return f"{host}:{port}", Container(container, keep=keep), additional


def _numbered(names: Iterable[str], first: int) -> dict[str, int]:
    return {name: number for number, name in enumerate(names, first)}


def _engine_host() -> str:
    """Return the host at which the engine publishes ports; raises ServerUnavailable if there is no engine."""
    try:
        from testcontainers.core.config import testcontainers_config
        from testcontainers.core.docker_client import DockerClient, get_docker_host
    except ImportError as error:
        raise ServerUnavailable("testcontainers is not installed") from error
    testcontainers_config.ryuk_disabled = True  # see Container
    logging.getLogger("testcontainers.core.docker_client").setLevel(logging.WARNING)  # its INFO lines repeat
    try:
        _require_listener(get_docker_host() or "unix:///var/run/docker.sock")
        engine = DockerClient()
        engine.client.ping()
        host = str(engine.host())
        engine.client.close()
    except Exception as error:  # the client raises many types when there is no engine
        raise ServerUnavailable(f"no Docker engine answers ({error})") from error
    return "127.0.0.1" if host == "localhost" else host


def _require_listener(address: str) -> None:
    """Raise OSError if no engine listens at its socket: the client itself would leave a socket open there."""
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(address.removeprefix("unix://"))


def _publish(container: Any, port_inside: int, host: str, port: int) -> None:
    # A fixed port, since a restarted container would get another one. A local engine publishes it to this machine only.
    container.ports[f"{port_inside}/tcp"] = (host, port) if host == "127.0.0.1" else port


def broker_variable(name: str) -> str:
    """Return the environment variable of the image apache/kafka for a broker property."""
    return "KAFKA_" + name.replace("_", "__").replace("-", "___").replace(".", "_").upper()
