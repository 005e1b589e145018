"""Memory of a member: over millions of records, and with difficult workloads.

The long run reads one log repeatedly with one process. Each time it has caught up, the benchmark empties the view and
sets the positions back to the beginning. It then adds one record per partition, so that the member tries to project and
finds that it is fenced. Resident memory is sampled twice a second. The slope is that of a regression line through all
samples after the first pass.
"""

import time
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import psycopg
from rich.console import Console

from benchmarks.environment import Environment, publish, start_servers
from benchmarks.projecting import Command, peak_mebibytes, resident_mebibytes, running
from benchmarks.recording import PARTITIONS, Record, Shape, generate
from benchmarks.report import slope, table, write_results
from benchmarks.rows import Row, bare

SAMPLE_EVERY_SECONDS = 0.5
HEARTBEATS = 100_000


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Measure, print a table, and write the results."""
    short = min(arguments.distinct, 200_000)
    shapes = {
        "a hot partition": generate(short, shape=Shape(callers=1, partitions=1)),
        f"one delegation, {HEARTBEATS:,} heartbeats": one_delegation(HEARTBEATS),
        "bodies of 50 KB to 1 MB": generate(short // 200, shape=Shape(smallest=50_000, largest=1_000_000)),
    }
    with start_servers(folder) as servers:
        versions = servers.versions
        long = servers.publish("long", generate(arguments.distinct), console)
        results = {f"{arguments.records:,} records": _long_run(long, arguments.records, console)}
        for number, (name, log) in enumerate(shapes.items()):
            results[name] = _once(servers.publish(f"shape-{number}", log, console))
    columns = ["log", "peak MiB", "MiB at the end", "MiB growth per million records", "records", "seconds"]
    rows = [[name, *(_cell(each, key) for key in _KEYS)] for name, each in results.items()]
    table(console, "resident memory of a member", columns, rows)
    write_results("memory", {"memory": results}, versions)


_KEYS = ("peak", "at_the_end", "slope", "records", "seconds")


def _cell(result: dict[str, float], key: str) -> str:
    if key not in result:
        return ""
    return f"{result[key]:,.2f}" if key == "slope" else f"{result[key]:,.0f}"


def one_delegation(heartbeats: int) -> Iterator[Record]:
    """Yield a request and then heartbeats of its delegation."""
    ids = [f"{number:08x}-0000-4000-a000-000000000000" for number in range(4)]
    body = '{"delegation_id": "hot"}'

    def record(row: Row, ms: int) -> Record:
        return Record(0, ids[1].encode(), bare(row).encode(), ms)

    at = datetime(2026, 1, 5, tzinfo=UTC)
    row = Row(ids[0], ids[1], "delegation", ids[2], "delegate", "pending", at.isoformat(), body)
    start = int(at.timestamp() * 1000)
    yield record(row, start)
    for number in range(heartbeats):
        ms = start + 1000 * number
        heartbeat_at = datetime.fromtimestamp(ms / 1000, UTC).isoformat()
        yield record(row._replace(row_id=ids[3], method="heartbeat", status="ok", created_at=heartbeat_at), ms)


def _once(environment: Environment) -> dict[str, float]:
    url = environment.create_database()
    started = time.monotonic()
    with running(environment, url) as member, psycopg.connect(url, autocommit=True) as conn:
        points = _pass(conn, member, environment.records, done=0)
        result = _result(member, points, environment.records, time.monotonic() - started)
    environment.drop_database(url)
    return result


def _long_run(environment: Environment, records: int, console: Console) -> dict[str, float]:
    url = environment.create_database()
    started, length, done = time.monotonic(), environment.records, 0
    points: list[tuple[float, float]] = []
    with running(environment, url) as member, psycopg.connect(url, autocommit=True) as conn:
        while done < records:
            samples = _pass(conn, member, length, done=done)
            points += samples if done else []
            done += length
            console.print(f"{done:,} records: {samples[-1][1]:.0f} MiB")
            if done < records:
                length += _reset(conn, environment)
        result = _result(member, points or samples, done, time.monotonic() - started)
    environment.drop_database(url)
    return result if not points else {**result, "slope": slope([(at / 1e6, mebibytes) for at, mebibytes in points])}


def _pass(
    conn: psycopg.Connection[tuple[int]], member: Command, length: int, *, done: int
) -> list[tuple[float, float]]:
    """Return (records projected so far, resident MiB) at each sample of this pass."""
    points: list[tuple[float, float]] = []
    while True:
        member.raise_if_ended()
        ((projected,),) = conn.execute(
            "SELECT coalesce(sum(next_offset), 0)::bigint FROM projector.positions"
        ).fetchall()
        points.append((done + projected, resident_mebibytes(member.process.pid) or 0.0))
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


def _result(member: Command, points: list[tuple[float, float]], records: int, seconds: float) -> dict[str, float]:
    peak = peak_mebibytes(member.process.pid) or 0.0
    return {"peak": peak, "at_the_end": points[-1][1], "records": records, "seconds": seconds}
