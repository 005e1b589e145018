"""Races of concurrent calls: they all wait for one lock, and start together when it is released."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import psycopg

from projector.ledger.rows import Connection

T = TypeVar("T")


def race(url: str, *calls: Callable[[Connection], T], release: Callable[[], object]) -> list[T]:
    """Run each call on its own autocommitting connection, and `release` once all are blocked; returns the results."""

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
    deadline = time.monotonic() + seconds
    with psycopg.connect(url, autocommit=True) as conn:
        while _blocked(conn) < count:
            assert time.monotonic() < deadline, f"only {_blocked(conn)} of {count} racers are blocked"
            time.sleep(0.01)  # Postgres does not signal that a session waits for a lock


def _blocked(conn: Connection) -> int:
    row = conn.execute(
        """
        SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'racer' AND cardinality(pg_blocking_pids(pid)) > 0
        """
    ).fetchone()
    assert row is not None
    return int(row[0])
