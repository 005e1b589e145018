"""The load of the latency measurement: numbered delegation events, each sent when it is due.

Event n belongs to caller and partition n mod 6, and its time is START plus n ms. Each event moves its row forward, and
`updated_at` becomes the event's time. So the largest `updated_at` of a caller tells the number of its last visible
event, for each contender that writes a partition in order.
"""

import functools
import gc
import random
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from kafka import KafkaProducer

from benchmarks.environment import create_topic, publish
from benchmarks.jdbc_sink import folded
from benchmarks.measurement import Failed
from benchmarks.recording import PARTITIONS, Record, Shape, random_text
from benchmarks.rows import Row, bare

START = datetime(2026, 1, 5, tzinfo=UTC)
STEP = timedelta(milliseconds=1)
CALLERS = [f"{number:08x}-0000-4000-a000-000000000000" for number in range(PARTITIONS)]

_CALLEE = "000000ff-0000-4000-a000-000000000000"
_STEPS = (
    ("requested", "queued"),
    ("in_progress", "in_progress"),
    ("heartbeat", "in_progress"),
    ("completed", "completed"),
)
"""The events of each delegation, and the row's status after them."""
_OPEN_PER_CALLER = 100
_TEXTS = 1_000


class Load(NamedTuple):
    """A topic and its events: a backlog, then `rate` per second; the first `warm_up` of these are not measured."""

    bootstrap_servers: str
    topic: str
    rate: int
    backlog: int
    warm_up: int
    measured: int

    @property
    def events(self) -> int:
        return self.backlog + self.warm_up + self.measured


class Event(NamedTuple):
    """A record, and what its delegation's row then has."""

    record: Record
    delegation_id: str
    status: str


class Sent(NamedTuple):
    """When each event after the backlog was sent and acknowledged, in seconds; `cores` that sending took."""

    at: list[float]
    acknowledged: list[float]
    cores: float


def events(count: int) -> Iterator[Event]:
    """Yield the events in order of their numbers."""
    rng = random.Random(7)
    texts = [random_text(rng, Shape()) for _ in range(_TEXTS)]
    waiting: list[list[tuple[str, int]]] = [[] for _ in CALLERS]  # by caller: delegation, next step
    for number in range(count):
        mine = waiting[number % PARTITIONS]
        if len(mine) < _OPEN_PER_CALLER:
            delegation_id, step = f"delegation-{number}", 0
        else:
            delegation_id, step = mine.pop(rng.randrange(len(mine)))
        if step + 1 < len(_STEPS):
            mine.append((delegation_id, step + 1))
        kind, status = _STEPS[step]
        yield Event(_record(number, delegation_id, kind, rng.choice(texts)), delegation_id, status)


def number_at(at: datetime | None) -> int:
    """Return the number of the event with this time, -1 for none."""
    return -1 if at is None else (at - START) // STEP


def _record(number: int, delegation_id: str, kind: str, text: str) -> Record:
    at = START + STEP * number
    caller = CALLERS[number % PARTITIONS]
    id_field = f'"delegation_id": "{delegation_id}"'
    row_id = f"{number:08x}-0000-4000-b000-000000000000"
    row = Row(row_id, caller, "delegation", _CALLEE, "delegate_result", kind, at.isoformat())
    if kind == "requested":
        row = row._replace(method="delegate", status="pending", request=f'{{{id_field}, "task": "{text}"}}')
    elif kind == "heartbeat":
        row = row._replace(method="heartbeat", status="ok", request=f'{{{id_field}, "note": "still at it"}}')
    else:
        row = row._replace(response=f'{{{id_field}, "text": "{text if kind == "completed" else ""}"}}')
    return Record(number % PARTITIONS, caller.encode(), bare(row).encode(), int(at.timestamp() * 1000))


def prepare(load: Load, fold: bool) -> dict[str, tuple[str, int]]:
    """Make the log and publish its backlog; returns delegation → (status, number of its last event)."""
    log, expected = _made(load.events, fold)
    create_topic(load.bootstrap_servers, load.topic)
    publish(load.bootstrap_servers, load.topic, log[: load.backlog])
    return expected


@functools.lru_cache(maxsize=2)
def _made(count: int, fold: bool) -> tuple[list[Record], dict[str, tuple[str, int]]]:
    made = list(events(count))
    records = (each.record for each in made)
    log = list(folded(records) if fold else records)
    gc.freeze()  # or a collection would look at all of them while they are sent
    return log, {each.delegation_id: (each.status, number) for number, each in enumerate(made)}


def send(load: Load, fold: bool, begin: float) -> Sent:
    """Send the events after the backlog from `begin` on, without lingering; the clock is `time.monotonic`."""
    log = _made(load.events, fold)[0][load.backlog :]
    sent, acknowledged = [0.0] * len(log), [0.0] * len(log)
    producer: Any = KafkaProducer(
        bootstrap_servers=load.bootstrap_servers, acks="all", enable_idempotence=True, linger_ms=0
    )

    def note(number: int, _: object) -> None:
        acknowledged[number] = time.monotonic()

    with closing(producer):
        producer.partitions_for(load.topic)
        cpu_before = time.process_time()
        for number, (partition, key, value, timestamp) in enumerate(log):
            if (ahead := begin + number / load.rate - time.monotonic()) > 0:
                time.sleep(ahead)
            sent[number] = time.monotonic()
            future = producer.send(load.topic, value, key, partition=partition, timestamp_ms=timestamp)
            future.add_callback(note, number)
        producer.flush()
        if 0.0 in acknowledged:
            raise Failed("the broker did not acknowledge each event")
        return Sent(sent, acknowledged, (time.process_time() - cpu_before) / (time.monotonic() - begin))
