"""Contenders, and what rounds of them measured."""

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from rich.console import Console

T = TypeVar("T")


class NotMeasured(Exception):
    """A contender cannot run on this machine; the table shows the message."""


class Failed(Exception):
    """A contender crashed, or its result is wrong: the benchmark fails, after it has measured the others."""


class Measurement(NamedTuple):
    """Rates are in delegation events per second, since one of the contenders gets no unrelated records."""

    events_per_second: float
    peak_mebibytes: float | None = None
    """Of the process where it was measured."""
    view: tuple[str, str] | None = None
    """The topic, and a checksum of the rows. Contenders with the same topic must have the same one."""
    claimed_after: float | None = None
    """Seconds from the start of the command until every partition is claimed."""
    after_claims: float | None = None
    """The rate from then on; None if too few records were left."""


class Contender(NamedTuple):
    """One line of the table; `once` if it runs in the first round only."""

    name: str
    run: Callable[[], Measurement]
    once: bool = False


@dataclass
class Results:
    """By contender: its measurement of each round, or why there is none. `failures` are sentences."""

    measured: dict[str, list[Measurement]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    views: dict[str, str] = field(default_factory=dict)

    @property
    def rates(self) -> Mapping[str, list[float]]:
        return {name: [each.events_per_second for each in rounds] for name, rounds in self.measured.items()}

    def add(self, name: str, measurement: Measurement) -> None:
        """Raises Failed if a contender had another view of the same topic."""
        if measurement.view:
            topic, view = measurement.view
            if view != (before := self.views.setdefault(topic, view)):
                raise Failed(f"the view is not that of the contender before: {view}, before {before}")
        self.measured.setdefault(name, []).append(measurement)

    def drop(self, name: str, reason: str) -> None:
        """A contender without a result in one round is out."""
        self.measured.pop(name, None)
        self.missing[name] = reason


def measure(contenders: Sequence[Contender], rounds: int, console: Console) -> Results:
    """Run the contenders one after the other, in several rounds."""
    results = Results()
    for number in range(rounds):
        for name, run, once in contenders:
            if name in results.missing or (once and number):
                continue
            try:
                results.add(name, measured := run())
                console.print(f"round {number + 1}: {name}: {measured.events_per_second:,.0f} delegation events/s")
            except NotMeasured as reason:
                results.drop(name, f"not measured: {reason}")
                console.print(f"{name}: {results.missing[name]}", soft_wrap=True)
            except Exception as error:  # also a bug of the benchmark: the others are measured nevertheless
                results.drop(name, f"FAILED: {error if isinstance(error, Failed) else repr(error)}")
                results.failures.append(f"{name}: {results.missing[name]}")
                console.print(results.failures[-1], soft_wrap=True)
    return results


def run_in_new_process(work: Callable[..., T], *arguments: object) -> T:
    """Call `work` in a new process, which has no garbage of other contenders; returns its result."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)
