"""A real Kafka Connect worker with Debezium's Postgres connector, as a local process with jars of Maven."""

import json
import signal
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from testbed.servers.maven import maven_jars
from testbed.servers.processes import LOG_WARNINGS_ONLY, ServerProcess, java_command
from testbed.servers.server import ServerUnavailable, free_port, wait_until_ready

CONNECT = "4.1.1"
DEBEZIUM = "3.5.0.Final"
JVM = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # ignores the proxies of the environment
CONNECTOR = Path(__file__).parent.parent / "deploy" / "connector.json"


class ConnectWorker:
    """ConnectStandalone; it stores source offsets in a file and continues from them after a restart."""

    def __init__(self, folder: Path, bootstrap_servers: str, *, offset_flush_interval_ms: int = 1000) -> None:
        self._address = f"http://127.0.0.1:{free_port()}"
        self._offsets = folder / "offsets"
        properties = folder / "worker.properties"
        settings = self._settings(bootstrap_servers) | {"offset.flush.interval.ms": str(offset_flush_interval_ms)}
        properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        command = [*_java_with_connect(), "org.apache.kafka.connect.cli.ConnectStandalone", str(properties)]
        self._process = ServerProcess(command, folder / "connect.log", keep=False, end_signal=signal.SIGKILL)

    def _settings(self, bootstrap_servers: str) -> dict[str, str]:
        return {
            "bootstrap.servers": bootstrap_servers,
            "listeners": self._address,
            "offset.storage.file.filename": str(self._offsets),
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "plugin.discovery": "service_load",
            # At least the largest event: a larger one fails the connector.
            "producer.max.request.size": "16777216",
        }

    def start(self) -> None:
        """Start it, or start it again with its stored offsets, and wait until it accepts connectors."""
        self._process.start()
        # Its port is open before it can answer about connectors.
        wait_until_ready(lambda: self._call("GET", "/connectors"), self._process, "Kafka Connect", seconds=60)

    def kill(self) -> None:
        """End it by SIGKILL, without a last store of its offsets."""
        self._process.stop(signal.SIGKILL)

    def has_stored_offsets(self) -> bool:
        return self._offsets.exists() and self._offsets.stat().st_size > 0

    def run(self, connector: str, config: dict[str, str]) -> None:
        """Create or update a connector, which starts at once."""
        self._call("PUT", f"/connectors/{connector}/config", config)

    def remove(self, connector: str) -> None:
        """Delete the connector if the worker runs; its slot stays in Postgres."""
        if self._process.is_up():
            self._call("DELETE", f"/connectors/{connector}")

    def raise_if_failed(self, connector: str) -> None:
        """Fail with the stack trace of the connector if it has failed, since it never restarts by itself."""
        assert self._process.is_up(), f"Kafka Connect ended:\n{self._process.log()}"
        try:
            status = self._call("GET", f"/connectors/{connector}/status")
        except urllib.error.HTTPError as error:
            if error.code == 404:  # not created yet
                return
            raise
        failed = [part.get("trace") for part in [status["connector"], *status["tasks"]] if part["state"] == "FAILED"]
        assert not failed, f"the connector failed: {failed[0]}"

    def _call(self, method: str, path: str, content: object = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._address + path, body, headers, method=method)
        with DIRECTLY.open(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.end()


def _java_with_connect() -> list[str]:
    artifacts = [f"org.apache.kafka:{name}:{CONNECT}" for name in ("connect-runtime", "connect-json")]
    debezium = f"io.debezium:debezium-connector-postgres:{DEBEZIUM}"
    try:
        jars = maven_jars("Kafka Connect", f"connect-{CONNECT}-debezium-{DEBEZIUM}", *artifacts, debezium)
        return [java_command(), *JVM, LOG_WARNINGS_ONLY, "-cp", f"{jars}/*"]
    except ServerUnavailable as reason:
        remedy = "Install Java 17 or later and Maven: Kafka Connect always runs as a local process"
        raise ServerUnavailable(f"{remedy}. Reason: {reason}") from reason


def connector_config(database_url: str, *, slot: str, topic: str) -> dict[str, str]:
    """Return the configuration of deploy/connector.json for this database and topic."""
    place = urlsplit(database_url)
    overrides = {
        "database.hostname": place.hostname or "",
        "database.port": str(place.port),
        "database.user": place.username or "",
        "database.password": place.password or "",
        "database.dbname": place.path.removeprefix("/"),
        "slot.name": slot,
        "transforms.topic.replacement": topic,
    }
    return {**json.loads(CONNECTOR.read_text()), **overrides}
