"""Debezium's JDBC sink as a contender: a Kafka Connect worker with two tasks.

It cannot fold, so its topic has folded rows: the row after each delegation event. It is tuned as its documentation
advises: batches as large as the consumer's polls, the reduction buffer (only the last of several changes of a row in a
batch is written), one UNNEST statement per batch. Its records have no schema, since the converter gets one.

It is measured in its steady state, from a quarter of the records to the end: before that, Java still compiles.
"""

import json
import signal
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from kafka import KafkaAdminClient

from benchmarks.claims import CATCH_UP_TIMEOUT_SECONDS
from benchmarks.environment import Environment
from benchmarks.measurement import Failed, Measurement, NotMeasured
from benchmarks.quix import committed
from benchmarks.recording import Record
from projector.domain.fold import WorkingSet, translate_batch
from testbed.servers.maven import maven_jars
from testbed.servers.processes import LOG_WARNINGS_ONLY, ServerProcess, java_command
from testbed.servers.server import ServerUnavailable, free_port

CONNECT = "4.3.0"
DEBEZIUM = "3.5.0.Final"
ARTIFACTS = (
    f"org.apache.kafka:connect-runtime:{CONNECT}",
    f"org.apache.kafka:connect-json:{CONNECT}",
    f"io.debezium:debezium-connector-jdbc:{DEBEZIUM}",
    "org.postgresql:postgresql:42.7.7",
)
TASKS = 2
BATCH = 5_000

_FOLDER = f"connect-{CONNECT}-debezium-jdbc-{DEBEZIUM}"
_JVM = ("-Xms512m", "-Xmx1g", "-XX:+UseG1GC")
_TIME = {"type": "string", "name": "io.debezium.time.ZonedTimestamp"}
_UUID = {"type": "string", "name": "io.debezium.data.Uuid"}
_TEXT = {"type": "string"}
_COLUMNS = {
    "delegation_id": _TEXT,
    "caller_id": _UUID,
    "callee_id": _UUID,
    "task_preview": _TEXT,
    "status": _TEXT,
    "last_heartbeat": _TIME,
    "deadline": _TIME,
    "result_preview": _TEXT,
    "error_detail": _TEXT,
    "retry_count": {"type": "int32"},
    "created_at": _TIME,
    "updated_at": _TIME,
    "idempotency_key": _TEXT,
}


class _Polled(NamedTuple):
    topic: str
    offset: int
    partition: int
    key: bytes | None
    value: bytes | None
    timestamp: int


def folded(log: Iterable[Record]) -> Iterator[Record]:
    """Yield the row of the view after each event of a delegation that has a row."""
    view = WorkingSet()
    for number, record in enumerate(log):
        for polled, translation in translate_batch([_Polled("folded", number, *record)]).records:
            view.apply(polled, translation)
            if row := view.rows.get(translation.delegation_id):
                yield record._replace(value=json.dumps(row._asdict(), default=_iso, ensure_ascii=False).encode())


def _iso(value: Any) -> str:
    return str(value.isoformat())


def jdbc_sink(environment: Environment) -> Measurement:
    """Measure the sink; the topic must have folded rows."""
    url = environment.create_database()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-connect-") as folder:
            return _measured(environment, url, Path(folder))
    finally:
        environment.drop_database(url)


def command(
    environment: Environment, url: str, folder: Path, name: str, settings: Mapping[str, object] | None = None
) -> list[str]:
    """Return the command of a worker with this sink; `settings` are of the worker. Raises NotMeasured."""
    try:
        jars = maven_jars("the JDBC sink", _FOLDER, *ARTIFACTS)
        java = [java_command(), *_JVM, LOG_WARNINGS_ONLY, "-cp", f"{jars}/*"]
    except ServerUnavailable as reason:
        raise NotMeasured(
            f"the Debezium JDBC sink cannot be started: {' '.join(str(reason).split())[:300]}"
        ) from reason
    files = {
        folder / "worker.properties": {**_worker(environment, folder), **(settings or {})},
        folder / "sink.properties": _sink(name, environment, url),
    }
    for file, properties in files.items():
        file.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    return [*java, "org.apache.kafka.connect.cli.ConnectStandalone", *map(str, files)]


def _measured(environment: Environment, url: str, folder: Path) -> Measurement:
    name = f"sink-{time.time_ns()}"
    log = folder / "connect.log"
    worker = ServerProcess(command(environment, url, folder, name), log, keep=False, end_signal=signal.SIGKILL)
    worker.start()
    try:
        rate = _steady(_progress(environment, f"connect-{name}", worker, log), environment.records)
        environment.require_rows(url)
        return Measurement(rate)
    finally:
        worker.end()


def _progress(environment: Environment, group: str, worker: ServerProcess, log: Path) -> list[tuple[float, int]]:
    """Return (time in s, rows written) each time that the number of rows has grown."""
    points = [(time.monotonic(), 0)]
    with closing(KafkaAdminClient(bootstrap_servers=environment.bootstrap_servers)) as admin:
        while points[-1][1] < environment.records:
            done = committed(admin, group)
            if done > points[-1][1]:
                points.append((time.monotonic(), done))
            elif time.monotonic() - points[-1][0] > 60 or not worker.is_up() or " ERROR " in log.read_text():
                raise Failed(f"the Debezium JDBC sink stopped at {done:,} rows: {_error(log)}")
            if points[-1][0] - points[0][0] > CATCH_UP_TIMEOUT_SECONDS:
                raise Failed("the Debezium JDBC sink did not catch up")
            time.sleep(0.05)
    return points


def _steady(points: list[tuple[float, int]], records: int) -> float:
    """Return rows per second from the first point after a quarter of the records to the last point."""
    (started_at, first), (ended_at, last) = next(each for each in points if each[1] >= records / 4), points[-1]
    if last == first:
        raise NotMeasured(f"{records:,} rows are too few to measure the JDBC sink in its steady state")
    return (last - first) / (ended_at - started_at)


def _error(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if "ERROR" in line or "Caused by" in line or "Exception" in line]
    return " / ".join(errors[:1] + errors[-1:])[:400]


def _worker(environment: Environment, folder: Path) -> dict[str, object]:
    schema = {"type": "struct", "optional": False, "fields": [_column(*each) for each in _COLUMNS.items()]}
    return {
        "bootstrap.servers": environment.bootstrap_servers,
        "listeners": f"http://127.0.0.1:{free_port()}",
        "offset.storage.file.filename": folder / "offsets",
        "offset.flush.interval.ms": 100,
        "plugin.discovery": "service_load",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "true",
        "value.converter.schema.content": json.dumps(schema),
        "consumer.auto.offset.reset": "earliest",
        "consumer.max.poll.records": BATCH,
        "consumer.max.partition.fetch.bytes": 8 * 1024 * 1024,
        "consumer.isolation.level": "read_committed",
    }


def _column(name: str, kind: dict[str, str]) -> dict[str, object]:
    return {"field": name, "optional": name != "delegation_id", **kind}


def _sink(name: str, environment: Environment, url: str) -> dict[str, object]:
    place = urlsplit(url)
    return {
        "name": name,
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": TASKS,
        "topics": environment.topic,
        "connection.url": f"jdbc:postgresql://{place.hostname}:{place.port}{place.path}?reWriteBatchedInserts=true",
        "connection.username": place.username,
        "connection.password": place.password,
        "insert.mode": "upsert",
        "primary.key.mode": "record_value",
        "primary.key.fields": "delegation_id",
        "collection.name.format": "public.delegations",  # not the shadow table of the same name
        "schema.evolution": "none",
        "batch.size": BATCH,
        "use.reduction.buffer": "true",
        "dialect.postgres.unnest.insert.enabled": "true",
        "use.time.zone": "UTC",
    }
