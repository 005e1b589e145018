"""Contenders and their measurements."""

import multiprocessing
from collections.abc import Callable
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class NotMeasured(Exception):
    """A contender did not run on this machine, or not to its end; the table shows the message."""


class Measurement(NamedTuple):
    """Delegation events per second, and the peak memory of the process where it was measured.

    The unit is events, not records, since one of the contenders gets no unrelated records.
    """

    events_per_second: float
    peak_mebibytes: float | None = None


class Contender(NamedTuple):
    """One line of the table; `sees_all` if its topic has the unrelated records too."""

    name: str
    run: Callable[[], Measurement]
    sees_all: bool = True


def run_in_new_process(work: Callable[..., T], *arguments: object) -> T:
    """Call `work` in a new process, which has no garbage of other contenders; returns its result."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)
