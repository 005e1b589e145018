"""The indexes of schema/056_dashboard.up.sql: what they cost a member, and what each saves a page.

Cost: a member projects the recording into an empty database, with both indexes, without one of them, and without both,
in turns. Its processor time and that of its sessions in Postgres count.
Benefit: a read of a page over many rows, with the index and without it. The index is dropped in a transaction that is
rolled back.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import NamedTuple

import psycopg
from psycopg import sql

from benchmarks.environment import Environment
from benchmarks.measurement import run_in_new_process
from benchmarks.pushing import Cost, project
from projector.postgres import views_delegations, views_failures, views_overview
from projector.postgres.connection import Connection, open_view
from projector.postgres.views_delegations import Wanted
from projector.settings import Settings

CREATED, FAILED = "idx_delegations_created", "idx_delegations_failed"
VARIANTS: dict[str, tuple[str, ...]] = {
    "both indexes": (),
    f"without {CREATED}": (CREATED,),
    f"without {FAILED}": (FAILED,),
    "neither": (CREATED, FAILED),
}
"""Name → the indexes that are dropped before the run."""
_TIMEOUT_MS = 60_000
_REPEATED = 5


class Saved(NamedTuple):
    """The median seconds of a read with the index, and the seconds of one read without it."""

    name: str
    read: str
    with_it: float
    without_it: float


def costs(environment: Environment, rounds: int) -> Iterator[dict[str, Cost]]:
    """Yield each round: variant → cost. Every second round has the variants in the other order."""
    for number in range(rounds):
        names = list(VARIANTS) if number % 2 == 0 else list(reversed(VARIANTS))
        found = {name: _cost(environment, VARIANTS[name]) for name in names}
        yield {name: found[name] for name in VARIANTS}


def _cost(environment: Environment, dropped: tuple[str, ...]) -> Cost:
    url = environment.create_database()
    try:
        with psycopg.connect(url, autocommit=True) as conn:
            for name in dropped:
                conn.execute(_drop(name))
        return run_in_new_process(project, environment, url, "off")
    finally:
        environment.drop_database(url)


def savings(settings: Settings) -> Iterator[Saved]:
    """Yield what each index saves. A read that takes longer than a minute counts as a minute."""
    longer = settings.model_copy(update={"statement_timeout_ms": _TIMEOUT_MS})
    with open_view(longer) as conn:
        for index, read, run in _reads(conn):
            run()
            with_it = statistics.median(_seconds(run) for _ in range(_REPEATED))
            with conn.transaction(force_rollback=True):
                conn.execute(_drop(index))
                yield Saved(index, read, with_it, _seconds(run))


def _reads(conn: Connection) -> list[tuple[str, str, Callable[[], object]]]:
    statuses = ("completed", "failed", "stuck")
    return [
        (
            CREATED,
            "the newest 100 of any status",
            lambda: views_delegations.listed(conn, Wanted(statuses), "created", None, limit=100),
        ),
        (FAILED, "failures of the last hour and the day before", lambda: views_overview.failures(conn)),
        (
            FAILED,
            "the latest 2,000 failures",
            lambda: views_failures.latest(conn, window=timedelta(days=1), callee_id=None),
        ),
        (FAILED, "the counts by status", lambda: views_delegations.stats(conn, timeout=timedelta(seconds=30))),
    ]


def _seconds(run: Callable[[], object]) -> float:
    began_at = time.perf_counter()
    run()
    return time.perf_counter() - began_at


def _drop(index: str) -> sql.Composed:
    return sql.SQL("DROP INDEX public.{}").format(sql.Identifier(index))
