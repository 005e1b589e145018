"""The contenders of the latency measurement, each running with an interval: what it waits for before it writes."""

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks import jdbc_sink
from benchmarks.environment import Environment
from benchmarks.measurement import Failed
from benchmarks.projecting import running
from benchmarks.quix import command as quix_command

INTERVALS = (0.0, 0.01, 0.05, 0.1, 0.5, 1.0)
"""Seconds, in the order in which they are tried. 0 is the peer's shortest: Quix commits each record, the JDBC sink
writes whatever a poll returns."""


class Running(NamedTuple):
    """A contender's process; `raise_if_ended` raises Failed."""

    pid: int
    raise_if_ended: Callable[[], None]


class Steady(NamedTuple):
    """A contender: how it is started on a database, and the intervals that it can have."""

    name: str
    start: Callable[[Environment, str, float], AbstractContextManager[Running]]
    intervals: Sequence[float] = INTERVALS
    folded: bool = False


@contextmanager
def product(environment: Environment, url: str, _interval: float) -> Iterator[Running]:
    """Run one member with default settings."""
    with running(environment, url) as member:
        yield Running(member.process.pid, member.raise_if_ended)


@contextmanager
def quix_streams(environment: Environment, url: str, interval: float) -> Iterator[Running]:
    """Run one process; `interval` is Quix' commit interval."""
    with tempfile.TemporaryDirectory(prefix="bench-quix-") as folder:
        command = quix_command(environment, url, f"quix-{time.time_ns()}", commit_every=0, commit_interval=interval)
        with _process("Quix Streams", command, Path(folder) / "log") as process:
            yield process


@contextmanager
def jdbc(environment: Environment, url: str, interval: float) -> Iterator[Running]:
    """Run the sink with two tasks. It writes what a poll returns; `interval` is how long a poll collects records."""
    collect = {
        "consumer.fetch.min.bytes": 50_000_000 if interval else 1,
        "consumer.fetch.max.wait.ms": round(1000 * interval) or 500,
        "offset.flush.interval.ms": 60_000,  # the default
    }
    with tempfile.TemporaryDirectory(prefix="bench-connect-") as folder:
        command = jdbc_sink.command(environment, url, Path(folder), f"sink-{time.time_ns()}", collect)
        with _process("the JDBC sink", command, Path(folder) / "log") as process:
            yield process


@contextmanager
def _process(name: str, command: Sequence[str], log: Path) -> Iterator[Running]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=log.parent, stdout=output, stderr=subprocess.STDOUT)

    def raise_if_ended() -> None:
        written = log.read_text(errors="replace")
        if process.poll() is not None or " ERROR " in written:
            raise Failed(f"{name} failed: {' '.join(written[-300:].split())}")

    try:
        yield Running(process.pid, raise_if_ended)
    finally:
        process.kill()
        process.wait()


PRODUCT = Steady("projector run", product, intervals=(0.0,))
QUIX = Steady("Quix Streams", quix_streams)
JDBC = Steady("JDBC sink, folded rows", jdbc, folded=True)
