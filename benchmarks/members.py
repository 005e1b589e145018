"""Members: how long two members take until every partition is claimed, and what the join of a third one costs.

A start lasts from the start of the process `projector run --members 2` to the last claim: every partition is claimed,
both members own some, and nothing changes during two heartbeat intervals. A join is under a light load. A partition
belongs to nobody from the old owner's log line "partitions revoked" to the next "partition claimed" of any member. The
longest such time counts. So does the longest time between two moves of one partition's position in Postgres, which also
contains what the members do not log. The load alone moves each of the six positions ten times per second.
"""

import statistics
import threading
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from rich.console import Console

from benchmarks.environment import Environment, Servers, create_topic, start_servers
from benchmarks.goals import Goal
from benchmarks.measurement import Failed
from benchmarks.projecting import Command, running
from benchmarks.recording import PARTITIONS, generate
from benchmarks.report import goals_table, table, write_results
from projector.settings import Settings
from testbed.producer import connect

HEARTBEAT_SECONDS: float = Settings.model_fields["heartbeat_interval_ms"].default / 1000
LOAD_PER_SECOND = 60.0
SAMPLE_EVERY_SECONDS = 0.005
SETTLE_TIMEOUT_SECONDS = 120.0


class Change(NamedTuple):
    """A partition got an owner, or lost it, at this time in seconds."""

    at: float
    partition: int
    is_claim: bool


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Measure, print the tables, and write the results."""
    figures: dict[str, list[float]] = {"start of two members": [], "owned by nobody": [], "without a move": []}
    with start_servers(folder) as servers:
        for number in range(arguments.rounds):
            for name, seconds in _round(servers, f"members-{number}").items():
                figures[name].append(seconds)
                console.print(f"round {number + 1}: {name}: {seconds:.2f} s")
        versions = servers.versions
    rows = [[n, f"{statistics.median(each):.2f}", f"{min(each):.2f} to {max(each):.2f}"] for n, each in figures.items()]
    table(console, "seconds; the two last while a third member joins, of the worst partition", ["", "median", ""], rows)
    goals = [
        Goal(f"{name} / the heartbeat interval", wanted, [seconds / HEARTBEAT_SECONDS for seconds in figures[name]])
        for name, wanted in (("start of two members", "≤ 0.5"), ("owned by nobody", "≤ 1.2"))
    ]
    goals_table(console, goals)
    write_results("members", {"seconds": figures, "goals": [goal.json for goal in goals]}, versions)


def _round(servers: Servers, topic: str) -> dict[str, float]:
    """Start two members, wait until they have settled, then let a third one join. Raises Failed."""
    environment = Environment(servers.bootstrap_servers, servers.postgres_url, topic, 0, 0, 0, 0)
    create_topic(environment.bootstrap_servers, topic)
    url = environment.create_database()
    try:
        with _load(environment), psycopg.connect(url, autocommit=True) as conn:
            started = time.time()
            with running(environment, url, "--members", "2", group=topic) as two:
                _settled(conn, [two], members=2)
                start = max(each.at for each in changes([two])) - started
                joined = time.time()
                with running(environment, url, group=topic) as third:
                    still = _settled(conn, [two, third], members=3)
                    unowned = longest_unowned(each for each in changes([two, third]) if each.at >= joined)
                    return {"start of two members": start, "owned by nobody": unowned, "without a move": still}
    finally:
        environment.drop_database(url)


def changes(members: Iterable[Command]) -> list[Change]:
    """Return what the members logged about their partitions, in order of time."""
    found: list[Change] = []
    for member in members:
        for at, fields in member.logged("partitions revoked", "partition claimed"):
            if "partition" in fields:
                found.append(Change(at, fields["partition"], is_claim=True))
            else:
                found += [Change(at, partition, is_claim=False) for partition in fields["partitions"]]
    return sorted(found)


def longest_unowned(of: Iterable[Change]) -> float:
    """Return the longest time in seconds from the loss of a partition to its next claim; 0 if none was lost."""
    lost_at: dict[int, float] = {}
    longest = 0.0
    for at, partition, is_claim in of:
        if not is_claim:
            lost_at.setdefault(partition, at)
        elif partition in lost_at:
            longest = max(longest, at - lost_at.pop(partition))
    return longest


def longest_gap(times: Sequence[float]) -> float:
    """Return the longest time between two of them, which are in order; 0 if there are fewer than two."""
    return max((later - earlier for earlier, later in pairwise(times)), default=0.0)


def _settled(conn: psycopg.Connection[Any], running: Sequence[Command], *, members: int) -> float:
    """Wait until `members` members own all partitions, and no claim is younger than two heartbeat intervals.

    Returns the longest time between two moves of a position meanwhile. Raises Failed.
    """
    started = changed_at = time.monotonic()
    claims: dict[int, tuple[Any, ...]] = {}
    offsets: dict[int, int] = {}
    moved = {partition: [started] for partition in range(PARTITIONS)}
    while not _is_complete(claims, members) or time.monotonic() < changed_at + 2 * HEARTBEAT_SECONDS:
        rows = conn.execute(
            "SELECT partition, next_offset, owner, claimed_at FROM projector.positions", prepare=True
        ).fetchall()
        now = time.monotonic()
        for partition, offset, *_ in rows:
            if offsets.get(partition) != offset:
                moved[partition].append(now)
        offsets = {partition: offset for partition, offset, *_ in rows}
        if claims != (claims := {partition: tuple(claim) for partition, _, *claim in rows}):
            changed_at = now
        for each in running:
            each.raise_if_ended()
        if now > started + SETTLE_TIMEOUT_SECONDS:
            raise Failed(f"{members} members did not share the partitions within {SETTLE_TIMEOUT_SECONDS:.0f} s")
        time.sleep(SAMPLE_EVERY_SECONDS)
    return max(longest_gap([*times, time.monotonic()]) for times in moved.values())


def _is_complete(claims: dict[int, tuple[Any, ...]], members: int) -> bool:
    owners = {owner for owner, _ in claims.values()}
    return len(claims) == PARTITIONS and None not in owners and len(owners) == members


@contextmanager
def _load(environment: Environment) -> Iterator[None]:
    """Send records for the length of the block, evenly over all partitions."""
    stop = threading.Event()
    log = (record._replace(partition=number % PARTITIONS) for number, record in enumerate(generate()))

    def send() -> None:
        with closing(connect(environment.bootstrap_servers)) as producer:
            for partition, key, value, timestamp in log:
                producer.send(environment.topic, value, key, partition=partition, timestamp_ms=timestamp)
                if stop.wait(1 / LOAD_PER_SECOND):
                    return

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
