"""Twenty pages that are open: what they cost a member that catches up beside them.

Each page is asked for again as a browser asks that has it open, over a connection of its own: at the interval that the
page itself names. Runs without pages and with them take turns, on the same database of many rows. The rows that a run
has projected are deleted after it.
"""

import re
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from typing import Any, NamedTuple

import psycopg

from benchmarks.claims import sample_until
from benchmarks.dashboard import Answer, Dashboard
from benchmarks.environment import Environment
from benchmarks.measurement import Failed
from benchmarks.page_requests import Known
from benchmarks.processor import processor_seconds
from benchmarks.projecting import running
from benchmarks.recording import START

OPEN = 20
_OPENED_WITHIN_SECONDS = 10.0
_EVERY = re.compile(rb'hx-trigger="[^"]*every (\d+)s')


class Run(NamedTuple):
    """A run of a member. `processor_seconds` are its own; the others are of the dashboard, its sessions aside."""

    records_per_second: float
    processor_seconds: float
    dashboard_seconds: float
    answers: int
    median: float
    slowest: float


class Readers:
    """Browsers with a page open, and the answers that they got."""

    def __init__(self, dashboard: Dashboard, paths: Sequence[str]) -> None:
        self.answers: list[Answer] = []
        self._dashboard = dashboard
        self._stopped = threading.Event()
        self._failure: Exception | None = None
        self._threads = [threading.Thread(target=self._read, args=(path,)) for path in paths]

    def start(self) -> None:
        """Open the pages one after the other, so that they are not asked for again all at once.

        Without pages it takes as long, so that runs with them and without begin alike.
        """
        for number in range(OPEN):
            for thread in self._threads[number : number + 1]:
                thread.start()
            time.sleep(_OPENED_WITHIN_SECONDS / OPEN)

    def stop(self) -> list[Answer]:
        """Close the pages, and return the answers. Raises Failed if one was an error."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        if self._failure:
            raise self._failure
        return self.answers

    def _read(self, path: str) -> None:
        try:
            with self._dashboard.client() as client:
                while True:
                    answer = client.get(path)
                    if answer.status != 200:
                        raise Failed(f"{path}: status {answer.status}: {self._dashboard.last_error()}")
                    self.answers.append(answer)
                    found = _EVERY.search(answer.body)
                    if self._stopped.wait(int(found[1]) if found else None):
                        return
        except Exception as error:
            self._failure = error


def opened(of: Known) -> list[str]:
    """The paths of the open pages: every second one is the overview or the list of what is in flight."""
    paths = [
        "/",
        "/delegations",
        "/",
        "/delegations?only=silent&sort=silence",
        "/callees",
        "/",
        f"/delegations?status=any&callee={of.heavy}",
        "/failures",
        "/delegations?status=failed",
        "/plumbing",
    ]
    return list(islice(cycle(paths), OPEN))


def pairs(environment: Environment, url: str, dashboard: Dashboard, of: Known, count: int) -> Iterator[tuple[Run, Run]]:
    """Yield pairs of runs, without the pages and with them. Every second pair has them in the other order."""
    for number in range(count):
        order = [[], opened(of)] if number % 2 == 0 else [opened(of), []]
        runs = [_run(environment, url, dashboard, paths) for paths in order]
        yield (runs[0], runs[1]) if number % 2 == 0 else (runs[1], runs[0])


def _run(environment: Environment, url: str, dashboard: Dashboard, paths: Sequence[str]) -> Run:
    _forget(environment, url)
    pid = dashboard.command.process.pid
    readers = Readers(dashboard, paths)
    readers.start()
    readers.answers.clear()
    try:
        dashboard_before = processor_seconds(pid)
        with running(environment, url) as member:
            samples = sample_until(url, environment.records, member.raise_if_ended)
            used, of_dashboard = processor_seconds(member.process.pid), processor_seconds(pid) - dashboard_before
            began_at = member.wait_for_log("partition claimed")
            member.end()
    finally:
        answers = readers.stop()
    seconds = [each.seconds for each in answers] or [0.0]
    rate = environment.records / (samples[-1].moved_at - began_at)
    return Run(rate, used, of_dashboard, len(answers), statistics.median(seconds), max(seconds))


def _forget(environment: Environment, url: str) -> None:
    """Delete what earlier runs have projected. The times of the recording are before those of all other rows."""
    topic: dict[str, Any] = {"topic": environment.topic, "start": START}
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(
            "DELETE FROM delegations WHERE created_at >= %(start)s AND created_at < %(start)s + interval '1 day'", topic
        )
        for table in ("positions", "parked", "dead_letters", "repeated_requests"):
            conn.execute(f"DELETE FROM projector.{table} WHERE topic = %(topic)s".encode(), topic)
        conn.execute("TRUNCATE projector.large_rows")
        conn.execute("VACUUM delegations")
        conn.execute("CHECKPOINT")
    time.sleep(1.0)
