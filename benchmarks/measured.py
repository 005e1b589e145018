"""What a contender brings home, and how it is run: in a process of its own, so that none meets another's garbage."""

import multiprocessing
from collections.abc import Callable
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class NotHere(Exception):
    """A contender did not run on this machine, or not to its end; the message is the sentence for the table."""


class Measured(NamedTuple):
    """Delegation events a second, and the most memory that the process held, where that was asked for.

    Events are what contenders have in common: one of them gets no unrelated records.
    """

    events_per_second: float
    peak_mebibytes: float | None = None


class Contender(NamedTuple):
    """One line of the table. `sees_all`: whether it had to pass over the unrelated records too."""

    name: str
    run: Callable[[], Measured]
    sees_all: bool = True


def in_a_fresh_process(work: Callable[..., T], *arguments: object) -> T:
    """What `work` returns there."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)
