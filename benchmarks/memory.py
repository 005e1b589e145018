"""Memory of a member over millions of records, in six partitions, compressed by the producer with zstd.

One process reads one log repeatedly. Each time it has caught up, the benchmark empties the view and sets the positions
back to the beginning. It then adds one record per partition, so that the member tries to project and finds that it is
fenced. Resident memory is sampled twice a second. The growth over the second half is that of a regression line through
the samples of the second half. A MB is 1,000,000 bytes.
"""

import random
import re
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import psycopg
from rich.console import Console

from benchmarks.environment import Environment, publish, start_servers
from benchmarks.goals import Goal
from benchmarks.projecting import Command, peak_mebibytes, resident_mebibytes, running
from benchmarks.recording import PARTITIONS, Record, generate
from benchmarks.report import goals_table, slope, table, write_results

SAMPLE_EVERY_SECONDS = 0.5
COMPRESSION = "zstd"
LARGE_EVERY = 1_000
LARGE_BYTES = 900_000
MAY_GROW = 0.05
"""Flat: over the second half, memory grows by at most this part of the limit."""

_LARGE_FIELD = re.compile(rb'"delegation_id": "[^"]+", "t(?:ask|ext)": "')
_MB_PER_MEBIBYTE = 2**20 / 1e6


class Used(NamedTuple):
    """Resident memory in MB: the largest, the last, and by how much it grew over the second half."""

    peak: float
    at_the_end: float
    growth: float
    records: int
    seconds: float

    @property
    def row(self) -> list[str]:
        sizes = (self.peak, self.at_the_end, self.growth)
        return [*(f"{each:,.1f}" for each in sizes), f"{self.records:,}", f"{self.seconds:,.0f}"]


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Measure, print the tables, and write the results."""
    many, large = arguments.records, arguments.records // 10
    logs = (
        (f"{many:,} records", generate(arguments.distinct), many, 200),
        (f"{large:,}, one in {LARGE_EVERY:,} of 900 KB", with_large(arguments.distinct // 5), large, 350),
    )
    used: dict[str, Used] = {}
    goals: list[Goal] = []
    with start_servers(folder) as servers:
        versions = servers.versions
        for number, (name, log, records, limit) in enumerate(logs):
            environment = servers.publish(f"memory-{number}", log, console, compression=COMPRESSION)
            used[name] = _read_repeatedly(environment, records, console)
            goals.append(Goal(f"{name}: peak", f"≤ {limit} MB", [used[name].peak]))
            goals.append(Goal(f"{name}: growth", f"≤ {MAY_GROW * limit:g} MB", [used[name].growth]))
    columns = ["log", "peak MB", "MB at the end", "MB growth over the second half", "records", "seconds"]
    table(console, "resident memory of a member", columns, [[name, *each.row] for name, each in used.items()])
    goals_table(console, goals)
    results = {"memory": {name: each._asdict() for name, each in used.items()}, "goals": [goal.json for goal in goals]}
    write_results("memory", results, versions)


def with_large(count: int) -> Iterator[Record]:
    """Yield the recording, with a task or result of LARGE_BYTES in one of LARGE_EVERY records; zstd halves it."""
    rng = random.Random(7)
    missing = 0
    for number, record in enumerate(generate(count)):
        missing += number % LARGE_EVERY == 0
        value = record.value or b""
        if missing and (found := _LARGE_FIELD.search(value)):
            text = rng.randbytes(LARGE_BYTES // 2).hex().encode()
            record = record._replace(value=value[: found.end()] + text + value[found.end() :])
            missing -= 1
        yield record


def _read_repeatedly(environment: Environment, records: int, console: Console) -> Used:
    url = environment.create_database()
    started, length, done = time.monotonic(), environment.records, 0
    points: list[tuple[float, float]] = []
    with running(environment, url) as member, psycopg.connect(url, autocommit=True) as conn:
        while done < records:
            points += _pass(conn, member, length, done=done)
            done += length
            console.print(f"{done:,} records: {points[-1][1]:.0f} MB")
            if done < records:
                length += _reset(conn, environment)
        peak = _MB_PER_MEBIBYTE * (peak_mebibytes(member.process.pid) or 0.0)
    environment.drop_database(url)
    return Used(peak, points[-1][1], growth(points), done, time.monotonic() - started)


def growth(points: Sequence[tuple[float, float]]) -> float:
    """Return the growth of y over the second half of x, by the regression line of the points there."""
    first, last = points[0][0], points[-1][0]
    later = [point for point in points if point[0] >= (first + last) / 2]
    return slope(later) * (last - first) / 2


def _pass(
    conn: psycopg.Connection[tuple[int]], member: Command, length: int, *, done: int
) -> list[tuple[float, float]]:
    """Return (records projected so far, resident MB) at each sample of this pass."""
    points: list[tuple[float, float]] = []
    while True:
        member.raise_if_ended()
        ((projected,),) = conn.execute(
            "SELECT coalesce(sum(next_offset), 0)::bigint FROM projector.positions"
        ).fetchall()
        points.append((done + projected, _MB_PER_MEBIBYTE * (resident_mebibytes(member.process.pid) or 0.0)))
        if projected == length:
            return points
        time.sleep(SAMPLE_EVERY_SECONDS)


def _reset(conn: psycopg.Connection[tuple[int]], environment: Environment) -> int:
    """Empty the view, set all positions back and add one record per partition; returns the number of added records."""
    with conn.transaction():
        conn.execute("UPDATE projector.positions SET next_offset = 0, owner = NULL")
        conn.execute("TRUNCATE delegations, projector.parked, projector.large_rows")
    added = [next(generate(1))._replace(partition=place) for place in range(PARTITIONS)]
    publish(environment.bootstrap_servers, environment.topic, chain(added))
    return len(added)
