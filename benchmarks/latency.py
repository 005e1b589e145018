"""How long until an event is visible: under steady load, and after a start with records waiting.

How it is measured. The producer is alone, so it knows each record's offset, and notes the time just before `send`. A
connection of its own reads `projector.positions` every millisecond. A position moves in the transaction that writes the
rows, so a record is visible when that connection first sees a position beyond it: each record is measured, none on a
sample's behalf. Both clocks are this machine's monotonic one. The error is one look, some 1.5 ms, and always upwards;
the table gives the looks' own median distance, and how long the producer waited for the broker's acknowledgement
(`ack.`), which is no time of the projector's. Broker, database, projector, producer and onlooker share the machine; the
last column is how many of its cores the last two took.
"""

import multiprocessing
import time
from argparse import Namespace
from contextlib import closing
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from kafka import KafkaProducer
from rich.console import Console

from benchmarks.environment import Environment, Servers, create_topic, servers
from benchmarks.projecting import running, wait_until_projected
from benchmarks.recording import PARTITIONS, Made, made
from benchmarks.report import keep, percentile, table

WARM_UP_SECONDS = 5.0
WAITING = 10_000
LOOK_EVERY_SECONDS = 0.001


class Sent(NamedTuple):
    """Partition → when each of its records was sent, and acknowledged, in order of offsets."""

    at: list[list[float]]
    acknowledged: list[list[float]]
    cores: float = 0.0


class Look(NamedTuple):
    """What the onlooker saw: when it asked, and the positions that had moved by then."""

    at: float
    positions: dict[int, int]


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Measure both, print two tables, and keep what was measured."""
    with servers(folder) as places:
        loads = {rate: _under_load(places, rate, arguments.seconds) for rate in arguments.rates}
        versions = places.versions
        starts = [_after_a_start(places, number) for number in range(arguments.starts)]
    rows = [
        [f"{rate:,} events/s", *(f"{found[name]:,.1f}" for name in ("p50", "p99", "max")), *_how(found)]
        for rate, found in loads.items()
    ]
    columns = ["steady load", "p50 ms", "p99 ms", "max ms", "ack. p50", "p99", "sent/s", "records", "looks ms", "cores"]
    table(console, "from the producer's send to visible for another connection", columns, rows)
    names = ("from the first claim", "from the assignment", "from the start of the process")
    listed = [[name, *(f"{each[name]:.2f}" for each in starts)] for name in names]
    columns = [
        f"seconds until {WAITING:,} waiting records are visible",
        *(f"start {n + 1}" for n in range(len(starts))),
    ]
    table(console, "after a start", columns, listed)
    keep("latency", {"steady_load": loads, "after_a_start": starts}, versions)


def _how(found: dict[str, float]) -> list[str]:
    acknowledged = [f"{found[f'acknowledged_{name}']:,.1f}" for name in ("p50", "p99")]
    return [
        *acknowledged,
        f"{found['sent_a_second']:,.0f}",
        f"{found['records']:,.0f}",
        f"{found['between_looks']:.1f}",
        f"{found['measuring_cores']:.2f}",
    ]


def _field(places: Servers, topic: str, records: int = 0) -> Environment:
    return Environment(places.bootstrap_servers, places.postgres_url, topic, records, 0, 0, 0)


def _under_load(places: Servers, rate: int, seconds: float) -> dict[str, float]:
    field = _field(places, f"steady-{rate}")
    create_topic(places.bootstrap_servers, field.topic)
    url = field.database()
    with running(field, url) as member, multiprocessing.get_context("spawn").Pool(1) as pool:
        member.wait_until_it_said("partition claimed")
        count = int(rate * (WARM_UP_SECONDS + seconds))
        playing = pool.apply_async(_play, (field.bootstrap_servers, field.topic, rate, count))
        began, worked = time.monotonic(), time.process_time()
        looks = _look_until(url, count)
        cores = (time.process_time() - worked) / (time.monotonic() - began)
        sent: Sent = playing.get(60)
    field.drop(url)
    return {**_summed_up(sent, looks, WARM_UP_SECONDS), "measuring_cores": sent.cores + cores}


def _play(bootstrap_servers: str, topic: str, rate: int, count: int) -> Sent:
    """Send so many events at this rate, each as soon as it is due; nothing waits for company."""
    log = list(islice((each for each in made(count * 3) if b'"delegation"' in (each.value or b"")), count))
    sent = Sent([[] for _ in range(PARTITIONS)], [[] for _ in range(PARTITIONS)])
    producer: Any = KafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", enable_idempotence=True, linger_ms=0)
    with closing(producer):
        producer.partitions_for(topic)
        began, worked = time.monotonic(), time.process_time()
        for number, record in enumerate(log):
            if (ahead := began + number / rate - time.monotonic()) > 0:
                time.sleep(ahead)
            _send(producer, topic, record, sent)
        producer.flush()
        return sent._replace(cores=(time.process_time() - worked) / (time.monotonic() - began))


def _send(producer: Any, topic: str, record: Made, sent: Sent) -> None:
    acknowledged = sent.acknowledged[record.partition]
    sent.at[record.partition].append(time.monotonic())
    told = producer.send(topic, record.value, record.key, partition=record.partition, timestamp_ms=record.timestamp)
    told.add_callback(lambda _: acknowledged.append(time.monotonic()))


def _look_until(url: str, count: int) -> list[Look]:
    """Look until so many records are projected."""
    looks: list[Look] = []
    known: dict[int, int] = {}
    with psycopg.connect(url, autocommit=True) as conn:
        while sum(known.values()) < count:
            due = time.monotonic() + LOOK_EVERY_SECONDS
            rows = conn.execute("SELECT partition, next_offset FROM projector.positions", prepare=True).fetchall()
            moved = {place: offset for place, offset in rows if offset != known.get(place)}
            looks.append(Look(time.monotonic(), moved))
            known |= moved
            time.sleep(max(0.0, due - time.monotonic()))
    return looks


def _summed_up(sent: Sent, looks: list[Look], warm_up_seconds: float) -> dict[str, float]:
    first = min(times[0] for times in sent.at if times)
    last = max(times[-1] for times in sent.at if times)
    seen = [_seen(place, len(times), looks) for place, times in enumerate(sent.at)]
    latencies = _sorted_ms(sent.at, seen, since=first + warm_up_seconds)
    acknowledged = _sorted_ms(sent.at, sent.acknowledged, since=first + warm_up_seconds)
    between = sorted(1000 * (now.at - before.at) for before, now in pairwise(looks))
    return {
        "p50": percentile(latencies, 0.5),
        "p99": percentile(latencies, 0.99),
        "max": latencies[-1],
        "acknowledged_p50": percentile(acknowledged, 0.5),
        "acknowledged_p99": percentile(acknowledged, 0.99),
        "records": len(latencies),
        "sent_a_second": (sum(map(len, sent.at)) - 1) / (last - first),
        "between_looks": percentile(between, 0.5),
    }


def _sorted_ms(began: list[list[float]], ended: list[list[float]], *, since: float) -> list[float]:
    return sorted(
        1000 * (end - begin)
        for begins, ends in zip(began, ended, strict=True)
        for begin, end in zip(begins, ends, strict=True)
        if begin >= since
    )


def _seen(place: int, count: int, looks: list[Look]) -> list[float]:
    """When each record of a partition was first seen to be projected."""
    seen: list[float] = []
    for look in looks:
        seen += [look.at] * (min(look.positions.get(place, 0), count) - len(seen))
    return seen


def _after_a_start(places: Servers, number: int) -> dict[str, float]:
    field = places.field(f"waiting-{number}", made(WAITING), Console(quiet=True))
    url = field.database()
    began = time.time()
    with running(field, url) as member:
        ended = wait_until_projected(url, field.records, member)
        assigned, claimed = member.said_at("partitions assigned"), member.said_at("partition claimed")
    field.drop(url)
    assert assigned is not None
    assert claimed is not None
    return {
        "from the first claim": ended - claimed,
        "from the assignment": ended - assigned,
        "from the start of the process": ended - began,
    }
