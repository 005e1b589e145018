"""Delegations whose callees are silent for a while or for ever, with histories that are dated back."""

from collections.abc import Iterator

from testbed.workload.acting import SILENT_SECONDS, Delegated


def _beat_until(d: Delegated, ago: float) -> None:
    d.request("dispatched", ago=ago + 600)
    d.beats(since=ago + 540, until=ago, every=540)


def falls_silent(d: Delegated) -> Iterator[float]:
    """Silent for ever."""
    _beat_until(d, SILENT_SECONDS * d.rng.uniform(1, 2))
    yield 0


def answers_late(d: Delegated) -> Iterator[float]:
    """Silent for long enough to be judged; then the answer comes at any moment, with a heartbeat or without."""
    _beat_until(d, SILENT_SECONDS * d.rng.uniform(1, 2))
    yield d.wait(4)
    if d.rng.random() < 0.5:
        d.beat()
        yield d.wait(0.2)
    d.result("completed", text=d.words())


def wakes_up(d: Delegated) -> Iterator[float]:
    """Silent for long enough to be judged; then it beats, and goes on."""
    _beat_until(d, SILENT_SECONDS * d.rng.uniform(1, 2))
    yield d.wait(4)
    d.beat()
    yield d.wait(2)
    d.beat()


def keeps_beating(d: Delegated) -> Iterator[float]:
    """Was never silent for long."""
    d.request("dispatched", ago=900)
    d.beats(since=450, every=450)
    for _ in range(2):
        yield d.wait(1)
        d.beat()


def works_on_something_else(d: Delegated) -> Iterator[float]:
    """Its callee does not beat for it, but writes other rows: it waits for a child, or works."""
    _beat_until(d, SILENT_SECONDS * d.rng.uniform(1, 2))
    d.chat(ago=30)
    yield 0


def is_never_heard(d: Delegated) -> Iterator[float]:
    """No heartbeat at all. It is judged only if its callee has beaten for another delegation."""
    d.request("dispatched", ago=SILENT_SECONDS * d.rng.uniform(1, 2))
    yield 0


def misses_its_deadline(d: Delegated) -> Iterator[float]:
    """Beats to the end, but the deadline has passed."""
    d.request("dispatched", ago=1800, deadline_in=1200)
    d.beats(since=1740, every=580)
    yield 0


def fills_the_history(d: Delegated) -> Iterator[float]:
    """Rows of its callee in every minute of the last two hours, so that the platform itself has no gap."""
    for minute in range(121):
        d.chat(ago=60.0 * minute)
    yield 0
