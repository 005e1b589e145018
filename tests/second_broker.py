"""A second broker of a cluster that runs as local processes."""

import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cluster import wait_until
from kafka import KafkaAdminClient
from kafka.errors import InvalidReplicationAssignmentError

from testbed.servers.processes import LOG_WARNINGS_ONLY, ServerProcess, java_command, kafka_jars
from testbed.servers.server import free_port, run_tool
from testbed.servers.start import FAST_BOOT_JVM, Kafka


@contextmanager
def second_broker(first: Kafka, folder: Path, *, advertised: str) -> Iterator[None]:
    """Start broker 2 of the cluster whose broker 1 has its files in `folder`. `advertised`: what it tells clients."""
    home, (file,) = folder / "second", folder.glob("kafka-*/server.properties")
    home.mkdir()
    properties, meta = _properties(file), _properties(file.parent / "data/meta.properties")
    own = {
        "node.id": "2",
        "process.roles": "broker",
        "listeners": f"PLAINTEXT://127.0.0.1:{free_port()}",
        "advertised.listeners": f"PLAINTEXT://{advertised}",
        "log.dirs": str(home / "data"),
    }
    configuration = home / "server.properties"
    configuration.write_text("".join(f"{name}={value}\n" for name, value in {**properties, **own}.items()))
    java = [java_command(), *FAST_BOOT_JVM, LOG_WARNINGS_ONLY, "-cp", f"{kafka_jars()}/*"]
    format_storage = ["kafka.tools.StorageTool", "format", "-t", meta["cluster.id"], "-c", str(configuration)]
    run_tool([*java, *format_storage], "Kafka's StorageTool", cwd=home)
    command, log = [*java, "kafka.Kafka", str(configuration)], home / "kafka.log"
    server = ServerProcess(command, log, keep=False, end_signal=signal.SIGKILL)
    server.start()
    try:
        admin = KafkaAdminClient(bootstrap_servers=first.bootstrap_servers)
        wait_until(lambda: len(admin.describe_cluster()["brokers"]) == 2, "a second broker in the cluster")
        admin.close()
        yield
    finally:
        server.end()


def topic_on_both(first: Kafka) -> str:
    """Create a topic whose partition 0 is on broker 1 and whose partition 1 is on broker 2; returns its name."""
    name = f"activity-log-{uuid.uuid4().hex[:12]}"
    admin = KafkaAdminClient(bootstrap_servers=first.bootstrap_servers)

    def created() -> bool:
        with suppress(InvalidReplicationAssignmentError):  # the controller does not use a broker that is starting
            admin.create_topics({name: {"assignments": {0: [1], 1: [2]}}})
            return True
        return False

    def leaders() -> set[int]:
        return {partition["leader_id"] for topic in admin.describe_topics([name]) for partition in topic["partitions"]}

    wait_until(created, "a topic on both brokers")
    wait_until(lambda: leaders() == {1, 2}, "a leader of each partition")
    admin.close()
    return name


def _properties(file: Path) -> dict[str, str]:
    lines = (line for line in file.read_text().splitlines() if not line.startswith("#"))
    return {name: value for name, _, value in (line.partition("=") for line in lines)}
