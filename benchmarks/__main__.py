"""`make bench`: catching up and rebuilding on one recording, against polling alone and the naive way, in one run."""

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

from benchmarks.contenders import Measured, naive, polling, projector_rebuild, projector_run
from benchmarks.field import Field, prepared

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Run the contenders one after the other, so many rounds, and print and keep what was measured."""
    arguments = _arguments()
    console = Console()
    contenders: dict[str, Callable[[Field], Measured]] = {
        "polling alone": polling,
        "the naive way": lambda field: naive(field, seconds=arguments.naive_seconds),
        "projector run": projector_run,
        "projector rebuild": projector_rebuild,
    }
    found: dict[str, list[Measured]] = {name: [] for name in contenders}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o755)  # the server runs as a user of its own
        counts = [arguments.records, arguments.records // 10]
        with prepared(Path(folder), counts, console) as (field, tenth):
            for number in range(arguments.rounds):
                for name, contend in contenders.items():
                    found[name].append(contend(field))
                    console.print(f"round {number + 1}: {name}: {found[name][-1].records_per_second:,.0f} records/s")
            found["projector rebuild, a tenth"] = [projector_rebuild(tenth)]
    console.print(_table(found))
    _keep(found, arguments.records)


def _table(found: dict[str, list[Measured]]) -> Table:
    table = Table("contender", "records/s", "spread", "times the naive way", "of polling alone", "peak memory")
    rates = {name: [each.records_per_second for each in measured] for name, measured in found.items()}
    medians = {name: statistics.median(each) for name, each in rates.items()}
    for name, median in medians.items():
        peaks = [each.peak_mebibytes for each in found[name] if each.peak_mebibytes is not None]
        table.add_row(
            name,
            f"{median:,.0f}",
            f"{min(rates[name]):,.0f} - {max(rates[name]):,.0f}",
            f"{median / medians['the naive way']:.1f}",
            f"{median / medians['polling alone']:.0%}",
            f"{max(peaks):.0f} MiB" if peaks else "",
        )
    return table


def _keep(found: dict[str, list[Measured]], records: int) -> None:
    """Written beside the code, where a commit can take it along."""
    RESULTS.mkdir(exist_ok=True)
    packages = ("kafka-python", "psycopg", "pydantic")
    result = {
        "records": records,
        "measured": {name: [each._asdict() for each in measured] for name, measured in found.items()},
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
