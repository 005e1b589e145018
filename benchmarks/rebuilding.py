"""Memory of a rebuild that folds many millions of records, all of them in the topic.

The view is empty, so the rebuild writes all of it: the largest possible difference. Resident memory is sampled twice a
second. The slope is that of a regression line through all samples of the fold after a tenth of the records. The peak is
that of the whole process.
"""

import tempfile
import time
from argparse import Namespace
from pathlib import Path

import psycopg
from rich.console import Console

from benchmarks.environment import Environment, start_servers
from benchmarks.memory import SAMPLE_EVERY_SECONDS
from benchmarks.projecting import Command, peak_mebibytes, resident_mebibytes
from benchmarks.recording import generate
from benchmarks.report import slope, table, write_results

Point = tuple[float, float]


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Measure, print a table, and write the results."""
    with start_servers(folder) as servers:
        versions = servers.versions
        result = _measure(servers.publish("rebuilt", generate(arguments.records), console))
    columns = ["records folded", "peak MiB", "MiB growth per million records", "seconds", "records/s"]
    rate = result["records"] / result["seconds"]
    row = [
        f"{result['records']:,.0f}",
        f"{result['peak']:,.0f}",
        f"{result['slope']:,.2f}",
        f"{result['seconds']:,.0f}",
    ]
    table(console, "resident memory of a rebuild", columns, [[*row, f"{rate:,.0f}"]])
    write_results("rebuilding", {"rebuild": result}, versions)


def _measure(environment: Environment) -> dict[str, float]:
    url = environment.create_database()
    with tempfile.TemporaryDirectory(prefix="bench-log-") as folder:
        rebuilding = Command(["rebuild"], environment, url, Path(folder) / "log")
        try:
            points, peak = _sampled(rebuilding, url)
            ended_at, began_at = time.time(), rebuilding.logged_at("folding")
            rebuilding.wait()
        finally:
            rebuilding.process.kill()
    environment.require_rows(url)
    environment.drop_database(url)
    assert began_at is not None
    later = [
        (folded / 1e6, mebibytes)
        for folded, mebibytes in points
        if environment.records / 10 <= folded < environment.records
    ]
    return {"peak": peak, "slope": slope(later), "records": environment.records, "seconds": ended_at - began_at}


def _sampled(rebuilding: Command, url: str) -> tuple[list[Point], float]:
    """Return (records folded, resident MiB) at each sample until it ends, and its peak in MiB."""
    points: list[Point] = []
    peak = 0.0
    with psycopg.connect(url, autocommit=True) as conn:
        while rebuilding.process.poll() is None:
            ((folded,),) = conn.execute(
                "SELECT coalesce(sum(next_offset), 0)::bigint FROM projector_shadow.positions"
            ).fetchall()
            if folded and (mebibytes := resident_mebibytes(rebuilding.process.pid)):
                points.append((folded, mebibytes))
            peak = peak_mebibytes(rebuilding.process.pid) or peak
            time.sleep(SAMPLE_EVERY_SECONDS)
    return points, peak
