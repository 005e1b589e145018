"""`make bench`: catching up on one recording, against polling alone and against the naive way, in one run."""

import argparse
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.contenders import naive, polling, projector_run
from benchmarks.field import Field, prepared

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Run the contenders one after the other, so many rounds, and print and keep what was measured."""
    arguments = _arguments()
    console = Console()
    contenders: dict[str, Callable[[Field], float]] = {
        "polling alone": polling,
        "the naive way": lambda field: naive(field, seconds=arguments.naive_seconds),
        "projector run": projector_run,
    }
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o755)  # the server runs as a user of its own
        with prepared(Path(folder), arguments.records, console) as field:
            for number in range(arguments.rounds):
                for name, contend in contenders.items():
                    rates[name].append(contend(field))
                    console.print(f"round {number + 1}: {name}: {rates[name][-1]:,.0f} records/s")
    console.print(_table(rates))
    _keep(rates, arguments.records)


def _table(rates: dict[str, list[float]]) -> Table:
    table = Table("contender", "records/s", "spread", "times the naive way", "of polling alone")
    medians = {name: statistics.median(found) for name, found in rates.items()}
    for name, median in medians.items():
        table.add_row(
            name,
            f"{median:,.0f}",
            f"{min(rates[name]):,.0f} - {max(rates[name]):,.0f}",
            f"{median / medians['the naive way']:.1f}",
            f"{median / medians['polling alone']:.0%}",
        )
    return table


def _keep(rates: dict[str, list[float]], records: int) -> None:
    """Written beside the code, where a commit can take it along."""
    RESULTS.mkdir(exist_ok=True)
    packages = ("kafka-python", "psycopg", "pydantic")
    result = {
        "records": records,
        "records_per_second": rates,
        "machine": {"processor": _processor(), "cores": _cores(), "system": platform.platform()},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
    }
    (RESULTS / "catching_up.json").write_text(json.dumps(result, indent=2) + "\n")


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--naive-seconds",
        type=float,
        default=20.0,
        help="the naive way is measured for so long: all would take minutes",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
