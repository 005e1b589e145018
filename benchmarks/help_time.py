"""How long `projector --help` and what does without settings take, as a process; beside an empty Python."""

import os
import statistics
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path

from rich.console import Console

from benchmarks.goals import Goal
from benchmarks.report import goals_table, table

_GOAL = "≤ 0.25"
_RUNS: dict[str, tuple[list[str], dict[str, str]]] = {
    "projector --help": (["--help"], {}),
    "projector status --help": (["status", "--help"], {}),
    "projector --help-settings": (["--help-settings"], {}),
    "a completion (tab)": (
        [],
        {"_PROJECTOR_COMPLETE": "bash_complete", "COMP_WORDS": "projector status --j", "COMP_CWORD": "2"},
    ),
}


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Measure in turns, print seconds by the clock and of the processor, and compare with the goal."""
    runs = {name: ([sys.executable, "-m", "projector", *words], extra) for name, (words, extra) in _RUNS.items()}
    runs["python -c pass"] = ([sys.executable, "-c", "pass"], {})
    clock: dict[str, list[float]] = {name: [] for name in runs}
    processor: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(arguments.rounds):
        for name, (command, extra) in runs.items():
            began, before = time.perf_counter(), os.times()
            subprocess.run(command, env={**os.environ, **extra}, stdout=subprocess.DEVNULL, check=True)
            after = os.times()
            clock[name].append(time.perf_counter() - began)
            processor[name].append(
                after.children_user + after.children_system - before.children_user - before.children_system
            )
    rows = [
        [name, f"{statistics.median(clock[name]):.2f}", f"{statistics.median(processor[name]):.2f}"] for name in runs
    ]
    table(console, "seconds, medians", ["", "by the clock", "processor"], rows)
    goals_table(console, [Goal("projector --help", _GOAL, clock["projector --help"])])
