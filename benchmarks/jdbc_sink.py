"""The contender from the world of connectors: Debezium's JDBC sink in a Kafka Connect worker, two tasks.

It cannot fold, so it gets rows that were folded before: one for each delegation event, as the view was after it, on a
topic of its own. It is tuned as its documentation advises: batches as large as the consumer's polls, the reduction
buffer (of several changes of a row in a batch only the last is written), one UNNEST statement a batch. Its records
carry no schema, since the converter is given one.

Measured in its steady state, between a quarter of the records and the end: its machine code is not made before.
"""

import json
import signal
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from kafka import KafkaAdminClient

from benchmarks.environment import Environment
from benchmarks.measured import Measured, NotHere
from benchmarks.projecting import GIVEN_UP_AFTER_SECONDS
from benchmarks.quix import committed
from benchmarks.recording import Made
from projector.domain.fold import WorkingSet, translate_batch
from testbed.servers.processes import QUIET, Process, java_command, maven_jars
from testbed.servers.server import NoServers, free_port

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


def folded(log: Iterable[Made]) -> Iterator[Made]:
    """The rows of the view, one for each event of a delegation that has one, as they are after it."""
    view = WorkingSet()
    for number, record in enumerate(log):
        for polled, said in translate_batch([_Polled("folded", number, *record)]).records:
            view.apply(polled, said)
            if row := view.rows.get(said.delegation_id):
                yield record._replace(value=json.dumps(row._asdict(), default=_iso, ensure_ascii=False).encode())


def _iso(value: Any) -> str:
    return str(value.isoformat())


def jdbc_sink(field: Environment) -> Measured:
    """The field holds folded rows."""
    try:
        java = [java_command(), *_JVM, QUIET, "-cp", f"{maven_jars('The JDBC sink', _FOLDER, *ARTIFACTS)}/*"]
    except NoServers as reason:
        raise NotHere(f"the Debezium JDBC sink is not to be had: {' '.join(str(reason).split())[:300]}") from reason
    url = field.database()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-connect-") as folder:
            return _measured(field, java, url, Path(folder))
    finally:
        field.drop(url)


_FOLDER = f"connect-{CONNECT}-debezium-jdbc-{DEBEZIUM}"


def _measured(field: Environment, java: list[str], url: str, folder: Path) -> Measured:
    name = f"sink-{time.time_ns()}"
    files = [folder / "worker.properties", folder / "sink.properties"]
    for file, settings in zip(files, (_worker(field, folder), _sink(name, field, url)), strict=True):
        file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    command = [*java, "org.apache.kafka.connect.cli.ConnectStandalone", *map(str, files)]
    log = folder / "connect.log"
    worker = Process(command, log, keep=False, ending=signal.SIGKILL)
    worker.start()
    try:
        rate = _steady(_progress(field, f"connect-{name}", worker, log), field.records)
        field.require_rows(url)
        return Measured(rate)
    finally:
        worker.end()


def _progress(field: Environment, group: str, worker: Process, log: Path) -> list[tuple[float, int]]:
    """(when, how many rows were written by then), each time that there are more of them."""
    found = [(time.monotonic(), 0)]
    with closing(KafkaAdminClient(bootstrap_servers=field.bootstrap_servers)) as admin:
        while found[-1][1] < field.records:
            done = committed(admin, group)
            if done > found[-1][1]:
                found.append((time.monotonic(), done))
            elif time.monotonic() - found[-1][0] > 60 or not worker.is_up() or " ERROR " in log.read_text():
                raise NotHere(f"the Debezium JDBC sink stopped at {done:,} rows: {_error(log)}")
            if found[-1][0] - found[0][0] > GIVEN_UP_AFTER_SECONDS:
                raise NotHere("the Debezium JDBC sink did not catch up")
            time.sleep(0.05)
    return found


def _steady(found: list[tuple[float, int]], records: int) -> float:
    """Rows a second from the first look at a quarter of them to the last one, when all were there."""
    (began, first), (ended, last) = next(each for each in found if each[1] >= records / 4), found[-1]
    if last == first:
        raise NotHere(f"{records:,} rows are too few to see the JDBC sink in its steady state")
    return (last - first) / (ended - began)


def _error(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    told = [line for line in lines if "ERROR" in line or "Caused by" in line or "Exception" in line]
    return " / ".join(told[:1] + told[-1:])[:400]


def _worker(field: Environment, folder: Path) -> dict[str, object]:
    schema = {"type": "struct", "optional": False, "fields": [_described(*each) for each in _COLUMNS.items()]}
    return {
        "bootstrap.servers": field.bootstrap_servers,
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


def _described(name: str, kind: dict[str, str]) -> dict[str, object]:
    return {"field": name, "optional": name != "delegation_id", **kind}


def _sink(name: str, field: Environment, url: str) -> dict[str, object]:
    place = urlsplit(url)
    return {
        "name": name,
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": TASKS,
        "topics": field.topic,
        "connection.url": f"jdbc:postgresql://{place.hostname}:{place.port}{place.path}?reWriteBatchedInserts=true",
        "connection.username": place.username,
        "connection.password": place.password,
        "insert.mode": "upsert",
        "primary.key.mode": "record_value",
        "primary.key.fields": "delegation_id",
        "collection.name.format": "public.delegations",  # not the shadow of the same name
        "schema.evolution": "none",
        "batch.size": BATCH,
        "use.reduction.buffer": "true",
        "dialect.postgres.unnest.insert.enabled": "true",
        "use.time.zone": "UTC",
    }
