"""What a rebuild holds while it folds many millions of records of a topic, each of them there for real.

The view is empty, so that all of it is written in the end: the largest difference that there can be. Resident memory is
looked at twice a second; its slope is that of a line through all looks while it folds, after a tenth of the
records; the peak is that of its whole life.
"""

import tempfile
import time
from argparse import Namespace
from pathlib import Path

import psycopg
from rich.console import Console

from benchmarks.environment import Environment, servers
from benchmarks.memory import LOOK_EVERY_SECONDS
from benchmarks.projecting import Command, peak_mebibytes, resident_mebibytes
from benchmarks.recording import made
from benchmarks.report import keep, slope, table

Point = tuple[float, float]


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Measure, print a table, and keep what was measured."""
    with servers(folder) as places:
        versions = places.versions
        found = _rebuilt(places.field("rebuilt", made(arguments.records), console))
    columns = ["records folded", "peak MiB", "MiB more a million records", "seconds", "records/s"]
    rate = found["records"] / found["seconds"]
    row = [f"{found['records']:,.0f}", f"{found['peak']:,.0f}", f"{found['slope']:,.2f}", f"{found['seconds']:,.0f}"]
    table(console, "resident memory of a rebuild", columns, [[*row, f"{rate:,.0f}"]])
    keep("rebuilding", {"rebuild": found}, versions)


def _rebuilt(field: Environment) -> dict[str, float]:
    url = field.database()
    with tempfile.TemporaryDirectory(prefix="bench-log-") as folder:
        rebuilding = Command(["rebuild"], field, url, Path(folder) / "log")
        try:
            points, peak = _watched(rebuilding, url)
            ended_at, began_at = time.time(), rebuilding.said_at("folding")
            rebuilding.wait()
        finally:
            rebuilding.process.kill()
    field.require_rows(url)
    field.drop(url)
    assert began_at is not None
    later = [(folded / 1e6, held) for folded, held in points if field.records / 10 <= folded < field.records]
    return {"peak": peak, "slope": slope(later), "records": field.records, "seconds": ended_at - began_at}


def _watched(rebuilding: Command, url: str) -> tuple[list[Point], float]:
    """(records folded, MiB held) until it ends, and its peak."""
    points: list[Point] = []
    peak = 0.0
    with psycopg.connect(url, autocommit=True) as conn:
        while rebuilding.process.poll() is None:
            ((folded,),) = conn.execute(
                "SELECT coalesce(sum(next_offset), 0)::bigint FROM projector_shadow.positions"
            ).fetchall()
            if folded and (held := resident_mebibytes(rebuilding.process.pid)):
                points.append((folded, held))
            peak = peak_mebibytes(rebuilding.process.pid) or peak
            time.sleep(LOOK_EVERY_SECONDS)
    return points, peak
