"""Races with a start signal: one connection holds a lock, the racers pile up behind it, and then it lets go."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import psycopg

from projector.ledger.rows import Connection

T = TypeVar("T")


def race(url: str, *calls: Callable[[Connection], T], release: Callable[[], object]) -> list[T]:
    """What the calls return, each on an autocommitting connection; `release` is called once all of them are blocked."""

    def run(call: Callable[[Connection], T]) -> T:
        with psycopg.connect(url, autocommit=True, application_name="racer") as conn:
            return call(conn)

    with ThreadPoolExecutor(len(calls)) as threads:
        racers = [threads.submit(run, call) for call in calls]
        try:
            _wait_until_blocked(url, len(calls))
        finally:
            release()
        return [racer.result(timeout=30) for racer in racers]


def _wait_until_blocked(url: str, count: int, *, seconds: float = 30) -> None:
    give_up_at = time.monotonic() + seconds
    with psycopg.connect(url, autocommit=True) as conn:
        while _blocked(conn) < count:
            assert time.monotonic() < give_up_at, f"only {_blocked(conn)} of {count} racers are blocked"
            time.sleep(0.01)  # Postgres tells nobody when a session starts to wait for a lock


def _blocked(conn: Connection) -> int:
    row = conn.execute(
        """
        SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'racer' AND cardinality(pg_blocking_pids(pid)) > 0
        """
    ).fetchone()
    assert row is not None
    return int(row[0])
