"""Latency: the time until an event is visible, under steady load and after a start with a backlog.

Method. The producer is the only one, so it knows the offset of each record. It takes the time just before `send`.
Another connection reads `projector.positions` every millisecond. A position moves in the transaction that writes the
rows, so a record is visible once that connection reads a position beyond it. Every record is measured. Both clocks are
the monotonic clock of this machine. The error is one sample, some 1.5 ms, and always makes the result larger; the table
has the median time between samples. It also has the time until the broker's acknowledgement (`ack.`), which does not
depend on the projector. Broker, database, projector, producer and sampler share the machine; the last column is the
number of cores that the last two used.
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

from benchmarks.environment import Environment, Servers, create_topic, start_servers
from benchmarks.projecting import running, wait_until_projected
from benchmarks.recording import PARTITIONS, Record, generate
from benchmarks.report import percentile, table, write_results

WARM_UP_SECONDS = 5.0
BACKLOG = 10_000
SAMPLE_EVERY_SECONDS = 0.001


class Sent(NamedTuple):
    """By partition, in order of offsets: when each record was sent and when it was acknowledged, in seconds."""

    at: list[list[float]]
    acknowledged: list[list[float]]
    cores: float = 0.0


class Sample(NamedTuple):
    """The time of a sample in seconds, and the positions that had moved since the previous one."""

    at: float
    positions: dict[int, int]


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Measure both, print two tables, and write the results."""
    with start_servers(folder) as servers:
        loads = {rate: _under_load(servers, rate, arguments.seconds) for rate in arguments.rates}
        versions = servers.versions
        starts = [_after_a_start(servers, number) for number in range(arguments.starts)]
    rows = [
        [f"{rate:,} events/s", *(f"{result[name]:,.1f}" for name in ("p50", "p99", "max")), *_measuring(result)]
        for rate, result in loads.items()
    ]
    columns = ["steady load", "p50 ms", "p99", "max", "ack. p50", "p99", "sent/s", "records", "interval ms", "cores"]
    table(console, "time from the producer's send until visible for another connection", columns, rows)
    names = ("from the first claim", "from the assignment", "from the start of the process")
    rows = [[name, *(f"{each[name]:.2f}" for each in starts)] for name in names]
    columns = [
        f"seconds until a backlog of {BACKLOG:,} records is visible",
        *(f"start {n + 1}" for n in range(len(starts))),
    ]
    table(console, "after a start", columns, rows)
    write_results("latency", {"steady_load": loads, "after_a_start": starts}, versions)


def _measuring(result: dict[str, float]) -> list[str]:
    acknowledged = [f"{result[f'acknowledged_{name}']:,.1f}" for name in ("p50", "p99")]
    return [
        *acknowledged,
        f"{result['sent_a_second']:,.0f}",
        f"{result['records']:,.0f}",
        f"{result['between_looks']:.1f}",
        f"{result['measuring_cores']:.2f}",
    ]


def _empty_topic(servers: Servers, topic: str, records: int = 0) -> Environment:
    return Environment(servers.bootstrap_servers, servers.postgres_url, topic, records, 0, 0, 0)


def _under_load(servers: Servers, rate: int, seconds: float) -> dict[str, float]:
    environment = _empty_topic(servers, f"steady-{rate}")
    create_topic(servers.bootstrap_servers, environment.topic)
    url = environment.create_database()
    with running(environment, url) as member, multiprocessing.get_context("spawn").Pool(1) as pool:
        member.wait_for_log("partition claimed")
        count = int(rate * (WARM_UP_SECONDS + seconds))
        sending = pool.apply_async(_send_all, (environment.bootstrap_servers, environment.topic, rate, count))
        started, cpu_before = time.monotonic(), time.process_time()
        samples = _sample_until(url, count)
        cores = (time.process_time() - cpu_before) / (time.monotonic() - started)
        sent: Sent = sending.get(60)
    environment.drop_database(url)
    return {**_summary(sent, samples, WARM_UP_SECONDS), "measuring_cores": sent.cores + cores}


def _send_all(bootstrap_servers: str, topic: str, rate: int, count: int) -> Sent:
    """Send delegation events at this rate, each as soon as it is due, without lingering."""
    log = list(islice((each for each in generate(count * 3) if b'"delegation"' in (each.value or b"")), count))
    sent = Sent([[] for _ in range(PARTITIONS)], [[] for _ in range(PARTITIONS)])
    producer: Any = KafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", enable_idempotence=True, linger_ms=0)
    with closing(producer):
        producer.partitions_for(topic)
        started, cpu_before = time.monotonic(), time.process_time()
        for number, record in enumerate(log):
            if (ahead := started + number / rate - time.monotonic()) > 0:
                time.sleep(ahead)
            _send(producer, topic, record, sent)
        producer.flush()
        return sent._replace(cores=(time.process_time() - cpu_before) / (time.monotonic() - started))


def _send(producer: Any, topic: str, record: Record, sent: Sent) -> None:
    acknowledged = sent.acknowledged[record.partition]
    sent.at[record.partition].append(time.monotonic())
    future = producer.send(topic, record.value, record.key, partition=record.partition, timestamp_ms=record.timestamp)
    future.add_callback(lambda _: acknowledged.append(time.monotonic()))


def _sample_until(url: str, count: int) -> list[Sample]:
    """Sample the positions until `count` records are projected."""
    samples: list[Sample] = []
    positions: dict[int, int] = {}
    with psycopg.connect(url, autocommit=True) as conn:
        while sum(positions.values()) < count:
            due = time.monotonic() + SAMPLE_EVERY_SECONDS
            rows = conn.execute("SELECT partition, next_offset FROM projector.positions", prepare=True).fetchall()
            moved = {place: offset for place, offset in rows if offset != positions.get(place)}
            samples.append(Sample(time.monotonic(), moved))
            positions |= moved
            time.sleep(max(0.0, due - time.monotonic()))
    return samples


def _summary(sent: Sent, samples: list[Sample], warm_up_seconds: float) -> dict[str, float]:
    first = min(times[0] for times in sent.at if times)
    last = max(times[-1] for times in sent.at if times)
    visible = [_visible_times(place, len(times), samples) for place, times in enumerate(sent.at)]
    latencies = _sorted_ms(sent.at, visible, since=first + warm_up_seconds)
    acknowledged = _sorted_ms(sent.at, sent.acknowledged, since=first + warm_up_seconds)
    between = sorted(1000 * (now.at - before.at) for before, now in pairwise(samples))
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
    """Return the sorted durations in ms of everything that began at `since` or later."""
    return sorted(
        1000 * (end - begin)
        for begins, ends in zip(began, ended, strict=True)
        for begin, end in zip(begins, ends, strict=True)
        if begin >= since
    )


def _visible_times(place: int, count: int, samples: list[Sample]) -> list[float]:
    """Return the time of the first sample that was beyond each record of a partition."""
    times: list[float] = []
    for sample in samples:
        times += [sample.at] * (min(sample.positions.get(place, 0), count) - len(times))
    return times


def _after_a_start(servers: Servers, number: int) -> dict[str, float]:
    environment = servers.publish(f"waiting-{number}", generate(BACKLOG), Console(quiet=True))
    url = environment.create_database()
    started = time.time()
    with running(environment, url) as member:
        ended = wait_until_projected(url, environment.records, member)
        assigned, claimed = member.logged_at("partitions assigned"), member.logged_at("partition claimed")
    environment.drop_database(url)
    assert assigned is not None
    assert claimed is not None
    return {
        "from the first claim": ended - claimed,
        "from the assignment": ended - assigned,
        "from the start of the process": ended - started,
    }
