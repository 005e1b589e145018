"""A real Kafka Connect worker with Debezium's Postgres connector: a process of this machine, its jars by Maven."""

import json
import signal
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from testbed.servers.processes import QUIET, Process, java_command, maven_jars
from testbed.servers.server import NoServers, free_port, wait_until

CONNECT = "4.1.1"
DEBEZIUM = "3.5.0.Final"
JVM = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever proxy the environment names
CONNECTOR = Path(__file__).parent.parent / "deploy" / "connector.json"


class ConnectWorker:
    """ConnectStandalone; which source offsets it has kept is in a file, so that a second start goes on from there."""

    def __init__(self, folder: Path, bootstrap_servers: str, *, offset_flush_interval_ms: int = 1000) -> None:
        self._address = f"http://127.0.0.1:{free_port()}"
        self._offsets = folder / "offsets"
        properties = folder / "worker.properties"
        settings = self._settings(bootstrap_servers) | {"offset.flush.interval.ms": str(offset_flush_interval_ms)}
        properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        command = [*_java_with_connect(), "org.apache.kafka.connect.cli.ConnectStandalone", str(properties)]
        self._process = Process(command, folder / "connect.log", keep=False, ending=signal.SIGKILL)

    def _settings(self, bootstrap_servers: str) -> dict[str, str]:
        return {
            "bootstrap.servers": bootstrap_servers,
            "listeners": self._address,
            "offset.storage.file.filename": str(self._offsets),
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "plugin.discovery": "service_load",
            # As large as the largest event: a larger one stops the connector for good.
            "producer.max.request.size": "16777216",
        }

    def start(self) -> None:
        """Start it, or start it again with the offsets that it had kept, and wait until it takes connectors."""
        self._process.start()
        # Its door opens before it knows of connectors.
        wait_until(lambda: self._asked("GET", "/connectors"), self._process, "Kafka Connect", seconds=60)

    def kill(self) -> None:
        """End it by SIGKILL: it keeps no offset that it had not kept already."""
        self._process.stop(signal.SIGKILL)

    def has_kept_offsets(self) -> bool:
        return self._offsets.exists() and self._offsets.stat().st_size > 0

    def run(self, connector: str, config: dict[str, str]) -> None:
        """Give it a connector, which begins on its own."""
        self._asked("PUT", f"/connectors/{connector}/config", config)

    def remove(self, connector: str) -> None:
        """Take the connector away, where the worker is not gone with it; the slot stays in Postgres."""
        if self._process.is_up():
            self._asked("DELETE", f"/connectors/{connector}")

    def require_well(self, connector: str) -> None:
        """Fails with what the connector has to say, where it has failed: it would do nothing more for ever."""
        assert self._process.is_up(), f"Kafka Connect ended:\n{self._process.log()}"
        try:
            told = self._asked("GET", f"/connectors/{connector}/status")
        except urllib.error.HTTPError as error:
            if error.code == 404:  # not known yet
                return
            raise
        failed = [part.get("trace") for part in [told["connector"], *told["tasks"]] if part["state"] == "FAILED"]
        assert not failed, f"the connector failed: {failed[0]}"

    def _asked(self, method: str, path: str, content: object = None) -> Any:
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
        return [java_command(), *JVM, QUIET, "-cp", f"{jars}/*"]
    except NoServers as reason:
        remedy = "Install Java 17 or later and Maven: Kafka Connect is a process here, wherever Kafka and Postgres run"
        raise NoServers(f"{remedy}. What was tried: {reason}") from reason


def connector_config(database_url: str, *, slot: str, topic: str) -> dict[str, str]:
    """The connector that deploy/ ships, from this database to this topic."""
    place = urlsplit(database_url)
    ours = {
        "database.hostname": place.hostname or "",
        "database.port": str(place.port),
        "database.user": place.username or "",
        "database.password": place.password or "",
        "database.dbname": place.path.removeprefix("/"),
        "slot.name": slot,
        "transforms.topic.replacement": topic,
    }
    return {**json.loads(CONNECTOR.read_text()), **ours}
