"""What every part of the bench leaves behind: a table for a person, and JSON with the versions and the machine."""

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

RESULTS = Path(__file__).parent / "results"
LOAD_BEFORE = [round(each, 2) for each in os.getloadavg()]
_PACKAGES = ("kafka-python", "psycopg", "pydantic", "pydantic_core")


def keep(name: str, found: Mapping[str, Any], servers: Mapping[str, str]) -> None:
    """Written beside the code, where a commit can take it along."""
    RESULTS.mkdir(exist_ok=True)
    versions = {"python": platform.python_version(), **{package: version(package) for package in _PACKAGES}}
    result = {**found, "machine": machine(), "versions": {**versions, **servers}}
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


def machine() -> dict[str, Any]:
    """What the figures are of."""
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
    """The first column is a name, the others are figures; nothing is cut off where the terminal is narrow."""
    made = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    Console(width=max(console.width, 110)).print(made)


def spread(values: Sequence[float]) -> str:
    """From the least to the most."""
    return f"{min(values):,.0f} - {max(values):,.0f}"


def percentile(values: Sequence[float], part: float) -> float:
    """The value that this part of all is at most; `values` sorted."""
    return values[min(len(values) - 1, int(len(values) * part))]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """How much y grows for each x, by least squares."""
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope


def _addition() -> float:
    """Nanoseconds: two builds of one version of Python differ by half, which shows in every figure of theirs."""
    loop = timeit.repeat("for n in range(1_000_000): total += n", "total = 0", number=1, repeat=5)
    return round(min(loop) * 1e3, 1)


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
