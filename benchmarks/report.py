"""Output of every part: a table, and JSON with the versions and the machine."""

import json
import os
import platform
import statistics
import timeit
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.goals import COLUMNS, Goal

RESULTS = Path(__file__).parent / "results"
LOAD_BEFORE = [round(each, 2) for each in os.getloadavg()]
_PACKAGES = ("kafka-python", "msgspec", "psycopg", "pydantic", "pydantic_core")


def write_results(name: str, results: Mapping[str, Any], servers: Mapping[str, str]) -> None:
    """Write results/<name>.json with the versions and the machine."""
    RESULTS.mkdir(exist_ok=True)
    versions = {"python": platform.python_version(), **{package: version(package) for package in _PACKAGES}}
    content = {**results, "machine": machine(), "versions": {**versions, **servers}}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def machine() -> dict[str, Any]:
    """Return a description of this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gibibytes": round(memory, 1),
        "system": platform.platform(),
        "python_nanoseconds_an_addition": _addition(),
        "load_before": LOAD_BEFORE,
    }


def table(console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: names in the first column, figures in the others; a narrow terminal cuts nothing off."""
    printed = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        printed.add_column(column, justify="right" if number else "left", overflow="fold", no_wrap=not number)
    for row in rows:
        printed.add_row(*row)
    Console(width=max(console.width, 140)).print(printed)


def goals_table(console: Console, goals: Sequence[Goal]) -> None:
    """Print the goals of a part."""
    table(console, "goals", COLUMNS, [goal.row for goal in goals])


def spread(values: Sequence[float]) -> str:
    """Format the smallest and the largest value."""
    return f"{min(values):,.0f} - {max(values):,.0f}"


def percentile(values: Sequence[float], part: float) -> float:
    """Return the percentile of sorted values; `part` from 0 to 1."""
    return values[min(len(values) - 1, int(len(values) * part))]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the regression line through points (x, y)."""
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope


def _addition() -> float:
    """Return nanoseconds per addition: builds of one version of Python differ by half, in all figures."""
    loop = timeit.repeat("for n in range(1_000_000): total += n", "total = 0", number=1, repeat=5)
    return round(min(loop) * 1e3, 1)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
