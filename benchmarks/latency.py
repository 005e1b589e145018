"""Latency: the time until an event is visible, under steady load and after a start with a backlog.

Method. The projector, Quix Streams and the JDBC sink get the same events at the same rate, one after the other in
slices, each on a new topic and database. A slice starts the contender on a backlog, sends for some seconds to warm up,
and then measures every event. The producer takes the time just before `send` and at the broker's acknowledgement. One
connection samples what is visible every millisecond, in the same way for all (`visibility.py`). All clocks are the
monotonic clock of this machine. The error is one sample and always makes the result larger. Broker, database,
contender, producer and sampler share the machine.

The interval of a peer is the smallest with which it keeps up. A short slice per candidate finds it.
"""

import multiprocessing
import statistics
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.environment import Servers, start_servers
from benchmarks.goals import Goal
from benchmarks.measurement import Failed, NotMeasured
from benchmarks.projecting import running, wait_until_projected
from benchmarks.recording import generate
from benchmarks.report import goals_table, table, write_results
from benchmarks.slices import Bench, Slice
from benchmarks.steady import JDBC, PRODUCT, QUIX, Steady
from benchmarks.visibility import Behind

CONTENDERS = (PRODUCT, QUIX, JDBC)
BACKLOG = 10_000
SEARCH_SECONDS = 8.0
GOAL_RATE = 1_000
SENT_AT_LEAST = 0.98

_TITLE = "from the send until visible and acknowledged, in ms; CPU of its own processes; medians of the slices"
_COLUMNS = ["contender", "events/s", "interval s", "p50", "p99", "ack. p50", "p99", "added p50", "CPU s", "sample", ""]
_FIGURES = ("p50", "p99", "acknowledged_p50", "acknowledged_p99", "added_p50", "processor_seconds", "sample_interval")


class Line:
    """A contender at a rate: its slices by round, or why there are none."""

    def __init__(self, contender: Steady, rate: int) -> None:
        self.contender, self.rate = contender, rate
        self.interval: float | None = None
        self.slices: dict[int, Slice] = {}
        self.problems: list[str] = []
        self.failure = ""

    def find_interval(self, bench: Bench, seconds: float, console: Console) -> None:
        """Try the intervals from the smallest on; one that keeps up is taken."""
        if len(self.contender.intervals) == 1:
            (self.interval,) = self.contender.intervals
            return
        for interval in self.contender.intervals:
            try:
                if bench.measure(self.contender, self.rate, interval, min(seconds, SEARCH_SECONDS))["keeps_up"]:
                    self.interval = interval
                    return
            except Behind:
                pass
            except Exception as error:  # also a bug of the benchmark: the others are measured nevertheless
                self._note(str(error) or repr(error), console, error)
                return
            console.print(f"{self.name}: does not keep up with an interval of {interval:g} s")
        self._note("keeps up with none of its intervals", console)

    def add_slice(self, number: int, bench: Bench, seconds: float, console: Console) -> None:
        """Measure one slice; a problem is noted and printed."""
        if self.interval is None:
            return
        try:
            one = self.slices[number] = bench.measure(self.contender, self.rate, self.interval, seconds)
        except Exception as error:  # also a bug of the benchmark: the others are measured nevertheless
            self._note(str(error) or repr(error), console, error)
            return
        console.print(f"{self.name}: p50 {one['p50']:,.1f} ms, added {one['added_p50']:,.1f} ms")
        if not one["keeps_up"]:
            self._note("its latency grew", console)
        if one["sent_per_second"] < SENT_AT_LEAST * self.rate:
            self._note("the producer was too slow", console)

    def _note(self, problem: str, console: Console, error: Exception | None = None) -> None:
        """Any error of the projector is a failure; that a peer cannot run or is far behind is none."""
        self.problems.append(problem)
        if error and (self.contender is PRODUCT or not isinstance(error, NotMeasured)):
            self.failure = problem
        console.print(f"{self.name}: {problem}", style="bold red", markup=False)

    def median(self, figure: str) -> float:
        return statistics.median(each[figure] for each in self.slices.values())

    def ratios(self, figure: str, to: "Line") -> list[float]:
        """Divide in each round that both have measured, and in which the other one keeps up."""
        both = ((self.slices[number], other) for number, other in to.slices.items() if number in self.slices)
        return [ours[figure] / other[figure] for ours, other in both if other["keeps_up"]]

    @property
    def name(self) -> str:
        return f"{self.contender.name}, {self.rate:,} events/s"

    @property
    def row(self) -> list[str]:
        interval = "" if self.contender is PRODUCT or self.interval is None else f"{self.interval:g}"
        figures = [f"{self.median(name):,.1f}" if self.slices else "" for name in _FIGURES]
        problems = "; ".join(f"{count} × {problem}" for problem, count in Counter(self.problems).items())
        return [self.contender.name, f"{self.rate:,}", interval, *figures, problems]

    @property
    def json(self) -> dict[str, Any]:
        return {"interval": self.interval, "problems": self.problems, "slices": list(self.slices.values())}


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Measure, print the tables, and write the results. Raises Failed, after it has measured all."""
    lines = [Line(contender, rate) for rate in arguments.rates for contender in CONTENDERS]
    with start_servers(folder) as servers, multiprocessing.get_context("spawn").Pool(1) as sender:
        bench = Bench(servers, sender)
        for rate in arguments.rates:
            here = [line for line in lines if line.rate == rate]
            for line in here:
                line.find_interval(bench, arguments.seconds, console)
            for number in range(arguments.slices):
                for line in here:
                    line.add_slice(number, bench, arguments.seconds, console)
        starts = [_after_a_start(servers, number) for number in range(arguments.starts)]
        versions = servers.versions
    wanted = goals([line for line in lines if line.rate == GOAL_RATE])
    table(console, _TITLE, _COLUMNS, [line.row for line in lines])
    goals_table(console, wanted)
    _print_starts(console, starts)
    steady = {line.name: line.json for line in lines}
    results = {"steady_load": steady, "goals": [goal.json for goal in wanted], "after_a_start": starts}
    write_results("latency", results, versions)
    if failures := [f"{line.name}: {line.failure}" for line in lines if line.failure]:
        raise Failed("; ".join(failures))


def goals(lines: Sequence[Line]) -> list[Goal]:
    """Return the goals from the lines of GOAL_RATE; the peer with the smaller median is the better one."""
    ours, *peers = lines or [Line(contender, GOAL_RATE) for contender in CONTENDERS]
    quix, _ = peers
    better = min((peer for peer in peers if peer.slices), key=lambda peer: peer.median("added_p50"), default=quix)
    wanted = (
        ("added p50 / the better of the two peers'", "added_p50", better),
        ("own processor seconds / Quix Streams'", "processor_seconds", quix),
    )
    return [
        Goal(f"at {GOAL_RATE:,} events/s: {name}", "≤ 0.5", ours.ratios(figure, peer)) for name, figure, peer in wanted
    ]


def _after_a_start(servers: Servers, number: int) -> dict[str, float]:
    environment = servers.publish(f"waiting-{number}", generate(BACKLOG), Console(quiet=True))
    url = environment.create_database()
    started = time.time()
    with running(environment, url) as member:
        ended = wait_until_projected(url, environment.records, member)
        assigned, claimed = member.logged_at("partitions assigned"), member.logged_at("partition claimed")
    environment.drop_database(url)
    assert assigned is not None
    assert claimed is not None
    return {
        "from the first claim": ended - claimed,
        "from the assignment": ended - assigned,
        "from the start of the process": ended - started,
    }


def _print_starts(console: Console, starts: Sequence[dict[str, float]]) -> None:
    if not starts:
        return
    rows = [[name, *(f"{each[name]:.2f}" for each in starts)] for name in starts[0]]
    names = [f"start {number + 1}" for number in range(len(starts))]
    table(console, "after a start", [f"seconds until a backlog of {BACKLOG:,} records is visible", *names], rows)
