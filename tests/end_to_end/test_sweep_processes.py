"""Several sweepers at once, sweepers that are killed, and outages: each verdict is written once, and none is false."""

import random
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cluster import wait_until
from commands import Process, environment, run_projector, start
from projecting import connected
from proxy import Proxy
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from rows import CALLER
from sweeping import Platform, counts

from projector.contract.facts import Status
from projector.settings import Settings
from projector.sweep.one_pass import Mode, Pass
from projector.sweep.report import Report
from projector.sweep.sink import ActivityLogs

SILENT = 200


def fill(it: Platform, silent: int, alive: int = 0) -> set[str]:
    """Silent delegations and others; returns the ids of the silent ones."""
    names = [f"silent-{n}" for n in range(silent)] + [f"alive-{n}" for n in range(alive)]
    rows = [it.request(name) for name in names]
    it.both(*rows, *(it.beat(name, 20 if name.startswith("silent") else 1) for name in names))
    return set(names[:silent])


def assert_each_once(it: Platform, expected: set[str]) -> None:
    ids = [row["request_body"]["delegation_id"] for row in it.verdicts()]
    assert sorted(ids) == sorted(expected)


def test_five_passes_at_once_write_each_verdict_once(it: Platform) -> None:
    """Without the advisory locks. A writer adds heartbeats meanwhile: those delegations are spared or judged before."""
    expected = fill(it.is_alive(), SILENT, 20)
    barrier = threading.Barrier(6)

    def one(_: int) -> Report:
        with connected(it.url) as conn:
            begun = Pass(conn, ActivityLogs(conn), Settings(), Mode(anyway=True), lambda: None)
            barrier.wait(30)
            return begun.run()

    with ThreadPoolExecutor(5) as threads:
        running = [threads.submit(one, n) for n in range(5)]
        barrier.wait(30)
        for n in range(0, SILENT, 10):
            it.write(it.beat(f"silent-{n}", 0))
        reports = [each.result(60) for each in running]
    told = it.told()
    assert sum(report.written[Status.STUCK] for report in reports) == len(told) == len(it.verdicts())
    beaten = {f"silent-{n}" for n in range(0, SILENT, 10)}
    assert expected - beaten <= set(told) <= expected


class Sweepers:
    """`projector sweep` as processes that sweep each second. Kafka is not needed: nothing of a topic was projected."""

    def __init__(self, it: Platform, folder: Path) -> None:
        self._it, self._folder = it, folder
        self._running: list[Process] = []

    def start(self, **settings: str) -> Process:
        own = {"database_url": self._it.url, "topic": "none", "log_format": "json", "sweep_interval_seconds": "1"}
        with self.log.open("ab") as log:
            process = start(["sweep"], environment({**own, "sweep_brake_minimum": "1000", **settings}), stderr=log)
        self._running.append(process)
        return process

    @property
    def log(self) -> Path:
        return self._folder / "sweepers.log"

    def end(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
                process.wait()


@pytest.fixture
def sweepers(it: Platform, tmp_path: Path) -> Iterator[Sweepers]:
    sweepers = Sweepers(it, tmp_path)
    yield sweepers
    sweepers.end()


def test_killed_sweepers_leave_no_verdict_out_and_write_none_twice(it: Platform, sweepers: Sweepers) -> None:
    expected = fill(it.is_alive(), 40)
    running = [sweepers.start() for _ in range(3)]
    for round_ in range(5):
        name = f"more-{round_}"
        it.both(it.request(name), it.beat(name))
        expected.add(name)
        victim = running.pop(random.randrange(len(running)))
        victim.kill()
        victim.wait()
        running.append(sweepers.start())
    wait_until(lambda: set(it.told()) == expected, f"all verdicts in:\n{sweepers.log.read_text()[-3000:]}")
    assert_each_once(it, expected)
    for process in running:
        process.send_signal(signal.SIGTERM)
    # The last one may have started so late that its loop, or Python, does not handle signals yet.
    assert {process.wait(30) for process in running} <= {0, 143, -signal.SIGTERM}


def test_frozen_sweeper_does_not_keep_the_others(it: Platform, sweepers: Sweepers) -> None:
    first = sweepers.start()
    wait_until(lambda: '"swept"' in sweepers.log.read_text(), "a first pass")
    first.send_signal(signal.SIGSTOP)
    expected = fill(it.is_alive(), 3)
    sweepers.start()
    # If it froze within a pass, Postgres ends its session after a minute.
    wait_until(lambda: set(it.told()) == expected, "verdicts of the second sweeper", seconds=150)
    first.send_signal(signal.SIGCONT)


@contextmanager
def proxied(url: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy before this Postgres, and the URL through it."""
    parts: dict[str, Any] = conninfo_to_dict(url)
    with Proxy(f"{parts['host']}:{parts['port']}") as proxy:
        host, port = proxy.address.split(":")
        yield proxy, make_conninfo(url, host=host, port=port)


def test_sweeper_waits_until_the_table_is_back(it: Platform, sweepers: Sweepers, tmp_path: Path) -> None:
    health = tmp_path / "health"

    def report() -> Any:
        return run_projector("health", health_file=str(health))

    with proxied(it.url) as (proxy, url):
        sweepers.start(activity_database_url=url, health_file=str(health))
        wait_until(lambda: report().code == 0, "a healthy report")
        proxy.close()
        wait_until(lambda: "no pass: the database of activity_logs" in report().err, "an unhealthy report")
        expected = fill(it.is_alive(), 3)
        proxy.open()
        wait_until(lambda: set(it.told()) == expected, f"verdicts in:\n{sweepers.log.read_text()[-3000:]}")
        wait_until(lambda: report().code == 0, "a healthy report again")


@pytest.mark.parametrize("cut", ["cut before", "cut after"])
def test_connection_cut_at_the_insert_repeats_nothing(it: Platform, cut: Any) -> None:
    expected = fill(it.is_alive(), 5)
    with proxied(it.url) as (proxy, url):
        settings = {"database_url": it.url, "activity_database_url": url, "topic": "none"}
        proxy.decide = _at(b"INSERT INTO activity_logs", cut)
        assert run_projector("sweep", "--once", **settings).code == 1
        proxy.decide = lambda _: "pass"
        assert run_projector("sweep", "--once", **settings).code == 0
    assert_each_once(it, expected)
    assert counts(it.sweep()) == {"candidates": 5, "repeated": 5}


def _at(statement: bytes, action: Any) -> Callable[[bytes], Any]:
    return lambda sent: action if statement in sent else "pass"


def test_sweep_and_verify_and_rebuild_agree(it: Platform) -> None:
    """A verdict is an event like any other, so the shadow of an export has it too."""
    fill(it.is_alive(), 4, 2)
    it.sweep()
    it.feed_verdicts()
    done = run_projector("verify", "--from", "activity-logs", "--json", database_url=it.url)
    assert (done.code, done.json()["drift"], done.json()["verdict_not_told"]) == (0, 0, 0)
    statuses = it.statuses()
    it.conn.execute("DELETE FROM delegations WHERE caller_id = %s", [CALLER])
    it.project(*_rows(it))
    assert it.statuses() == statuses


def _rows(it: Platform) -> list[Any]:
    rows = it.conn.execute(
        "SELECT to_jsonb(a) FROM activity_logs a WHERE activity_type = 'delegation' ORDER BY created_at, id"
    ).fetchall()
    return [row for (row,) in rows]
