"""What a member holds: over millions of records, and with logs that are hard on it.

The long run reads one log again and again with one process: each time that it has caught up, the view is emptied and
the positions are set back to the beginning. A record more in each partition makes the member notice, by being fenced.
Resident memory is looked at twice a second; its slope is that of a line through all looks after the first pass.
"""

import time
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import psycopg
from rich.console import Console

from benchmarks.environment import Environment, publish, servers
from benchmarks.projecting import Command, peak_mebibytes, resident_mebibytes, running
from benchmarks.recording import PARTITIONS, Made, Shape, made
from benchmarks.report import keep, slope, table
from benchmarks.rows import Row, bare

LOOK_EVERY_SECONDS = 0.5
HEARTBEATS = 100_000


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Measure, print a table, and keep what was measured."""
    few = min(arguments.distinct, 200_000)
    shapes = {
        "a hot partition": made(few, shape=Shape(callers=1, partitions=1)),
        f"one delegation, {HEARTBEATS:,} heartbeats": one_delegation(HEARTBEATS),
        "bodies of 50 KB to 1 MB": made(few // 200, shape=Shape(smallest=50_000, largest=1_000_000)),
    }
    with servers(folder) as places:
        versions = places.versions
        long = places.field("long", made(arguments.distinct), console)
        found = {f"{arguments.records:,} records": _long_run(long, arguments.records, console)}
        for number, (name, log) in enumerate(shapes.items()):
            found[name] = _once(places.field(f"shape-{number}", log, console))
    columns = ["log", "peak MiB", "MiB at the end", "MiB more a million records", "records", "seconds"]
    rows = [[name, *(_shown(each, key) for key in _KEYS)] for name, each in found.items()]
    table(console, "resident memory of a member", columns, rows)
    keep("memory", {"memory": found}, versions)


_KEYS = ("peak", "at_the_end", "slope", "records", "seconds")


def _shown(found: dict[str, float], key: str) -> str:
    return f"{found[key]:,.2f}" if key == "slope" and key in found else f"{found[key]:,.0f}" if key in found else ""


def one_delegation(heartbeats: int) -> Iterator[Made]:
    """A request, and then so many signs of life."""
    ids = [f"{number:08x}-0000-4000-a000-000000000000" for number in range(4)]
    named = '{"delegation_id": "hot"}'

    def record(row: Row, ms: int) -> Made:
        return Made(0, ids[1].encode(), bare(row).encode(), ms)

    at = datetime(2026, 1, 5, tzinfo=UTC)
    row = Row(ids[0], ids[1], "delegation", ids[2], "delegate", "pending", at.isoformat(), named)
    start = int(at.timestamp() * 1000)
    yield record(row, start)
    for number in range(heartbeats):
        ms = start + 1000 * number
        beat_at = datetime.fromtimestamp(ms / 1000, UTC).isoformat()
        yield record(row._replace(row_id=ids[3], method="heartbeat", status="ok", created_at=beat_at), ms)


def _once(field: Environment) -> dict[str, float]:
    url = field.database()
    began = time.monotonic()
    with running(field, url) as member, psycopg.connect(url, autocommit=True) as conn:
        points = _pass(conn, member, field.records, done=0)
        found = _told(member, points, field.records, time.monotonic() - began)
    field.drop(url)
    return found


def _long_run(field: Environment, records: int, console: Console) -> dict[str, float]:
    url = field.database()
    began, length, done = time.monotonic(), field.records, 0
    points: list[tuple[float, float]] = []
    with running(field, url) as member, psycopg.connect(url, autocommit=True) as conn:
        while done < records:
            looks = _pass(conn, member, length, done=done)
            points += looks if done else []
            done += length
            console.print(f"{done:,} records: {looks[-1][1]:.0f} MiB")
            if done < records:
                length += _begin_again(conn, field)
        found = _told(member, points or looks, done, time.monotonic() - began)
    field.drop(url)
    return found if not points else {**found, "slope": slope([(at / 1e6, held) for at, held in points])}


def _pass(
    conn: psycopg.Connection[tuple[int]], member: Command, length: int, *, done: int
) -> list[tuple[float, float]]:
    """(records projected so far, MiB held), until this pass is over."""
    points: list[tuple[float, float]] = []
    while True:
        member.require_well()
        ((projected,),) = conn.execute(
            "SELECT coalesce(sum(next_offset), 0)::bigint FROM projector.positions"
        ).fetchall()
        points.append((done + projected, resident_mebibytes(member.process.pid) or 0.0))
        if projected == length:
            return points
        time.sleep(LOOK_EVERY_SECONDS)


def _begin_again(conn: psycopg.Connection[tuple[int]], field: Environment) -> int:
    """An empty view, all positions at the beginning, and a record more in each partition; how many those are."""
    with conn.transaction():
        conn.execute("UPDATE projector.positions SET next_offset = 0, owner = NULL")
        conn.execute("TRUNCATE delegations, projector.parked, projector.large_rows")
    more = [next(made(1))._replace(partition=place) for place in range(PARTITIONS)]
    publish(field.bootstrap_servers, field.topic, chain(more))
    return len(more)


def _told(member: Command, points: list[tuple[float, float]], records: int, seconds: float) -> dict[str, float]:
    peak = peak_mebibytes(member.process.pid) or 0.0
    return {"peak": peak, "at_the_end": points[-1][1], "records": records, "seconds": seconds}
