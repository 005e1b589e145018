"""Races of concurrent calls: they all wait for one lock and start together, or one of them overtakes another one."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import LiteralString, TypeVar

import psycopg

from projector.ledger.rows import Connection

T = TypeVar("T")

_IN_COMMIT: LiteralString = "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
POINTS: dict[str, LiteralString] = {
    "before the rows": "TRIGGER pause BEFORE INSERT ON delegations",
    "after the rows": "TRIGGER pause AFTER INSERT ON delegations",
    "in the look at parked events": "TRIGGER pause BEFORE DELETE ON projector.parked",  # it sees no later commit
    "in the commit of a row": "CONSTRAINT TRIGGER pause AFTER INSERT ON delegations " + _IN_COMMIT,
    "after the look at rows": "TRIGGER pause BEFORE INSERT ON projector.parked",
    "in the commit of a parked event": "CONSTRAINT TRIGGER pause AFTER INSERT ON projector.parked " + _IN_COMMIT,
}
"""Where `overtake` can pause a batch. A batch with requests reaches the first four, one that parks the last two."""


def race(url: str, *calls: Callable[[Connection], T], release: Callable[[], object]) -> list[T]:
    """Run each call on its own autocommitting connection, and `release` once all are blocked; returns the results."""
    with ThreadPoolExecutor(len(calls)) as threads:
        racers = [threads.submit(_run, url, call) for call in calls]
        try:
            _wait_until_blocked(url, len(calls))
        finally:
            release()
        return [racer.result(timeout=30) for racer in racers]


def overtake(url: str, first: Callable[[Connection], T], second: Callable[[Connection], T], *, point: str) -> list[T]:
    """Pause the first call at this point until the second one has ended, or waits for the first; returns the results.

    A deadlock is an error (`without_deadlocks`).
    """
    with psycopg.connect(url) as pause, ThreadPoolExecutor(2) as threads:
        pause.execute(_PAUSE + POINTS[point] + " EXECUTE FUNCTION public.pause()")
        pause.commit()
        pause.execute("SELECT pg_advisory_xact_lock(4714)")
        try:
            racers = [threads.submit(_run, url, without_deadlocks(first), "on")]
            _wait_until_blocked(url, 1)
            racers.append(threads.submit(_run, url, without_deadlocks(second)))
            _wait_until_blocked(url, 2, unless=racers[1].done)
        finally:
            pause.commit()
        return [racer.result(timeout=30) for racer in racers]


_PAUSE: LiteralString = """
CREATE FUNCTION public.pause() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('test.pauses') = 'on' THEN
        PERFORM pg_advisory_xact_lock_shared(4714);
    END IF;
    RETURN NULL;
END $$;
CREATE """


def _run(url: str, call: Callable[[Connection], T], pauses: str = "off") -> T:
    options = f"-c test.pauses={pauses}"
    with psycopg.connect(url, autocommit=True, application_name="racer", options=options) as conn:
        return call(conn)


def without_deadlocks(call: Callable[[Connection], T]) -> Callable[[Connection], T]:
    """The call, but a deadlock in it is an error, also if Postgres ends it at once and the call tries again."""

    def watched(conn: Connection) -> T:
        conn.execute("SET deadlock_timeout = '100s'; SET lock_timeout = '10s'")
        result = call(conn)
        conn.execute("SELECT pg_stat_force_next_flush()")
        row = conn.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
        assert row == (0,)
        return result

    return watched


def _wait_until_blocked(
    url: str, count: int, *, seconds: float = 30, unless: Callable[[], bool] = lambda: False
) -> None:
    deadline = time.monotonic() + seconds
    with psycopg.connect(url, autocommit=True) as conn:
        while _blocked(conn) < count and not unless():
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
