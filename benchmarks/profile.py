"""Where a record's microseconds go: a member in a process of its own, its functions timed in place while it catches up.

Every moment counts for the innermost function that is timed, so the rows add up to the wall's time. The timers cost
something, most of it in *parse*, where there is one a record: the run is made once without them, and both are told.
What is not the process's own work (Postgres at its end of the connection, the broker, others on our core) shows as the
part of the wall's time that is no processor time of ours.
"""

import time
from argparse import Namespace
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from benchmarks.environment import Environment, servers
from benchmarks.measured import in_a_fresh_process
from benchmarks.recording import made
from benchmarks.report import keep, table
from benchmarks.stopwatch import Stopwatch
from projector.contract import translate
from projector.kafka.consumer import GroupConsumer
from projector.process import tune_gc
from projector.projection import transaction
from projector.projection.transaction import PendingBatch
from projector.settings import load
from projector.worker import loop
from projector.worker.loop import Worker

REST = "the member's loop: cutting batches, ticks"
ROWS = {
    "poll": "fetch, decode",
    "waiting for records": "polls that brought nothing",
    "parse": "bytes to a row, envelope",
    "translate": "the row to events",
    "read rows": "what the batch touches, parked, bodies left out",
    "fold": "evolve, changes",
    "send": "what changes, into arrays and to Postgres",
    "await": "until Postgres has written and committed what was sent",
    REST: "",
}


class Profile(NamedTuple):
    """Seconds of the wall, of our processor, and by row, for so many records."""

    records: int
    wall: float
    processor: float
    rows: dict[str, float]


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Measure without timers and with them, print a table, and keep what was measured."""
    with servers(folder) as places:
        versions = places.versions
        field = places.field("profile", made(arguments.records), console)
        without, timed = (_profiled(field, timers=timers) for timers in (False, True))
    rows = [[name, _each(timed, seconds), f"{seconds / timed.wall:.0%}", ROWS[name]] for name, seconds in _told(timed)]
    rows.append(["all of it, by the wall's clock", _each(timed, timed.wall), "100%", ""])
    rows.append(["of it our own processor", _each(timed, timed.processor), "", "else: waiting"])
    rows.append(["the same without timers", _each(without, without.wall), "", f"{_rate(without):,.0f} records/s"])
    columns = ["where", "µs a record", "share", "what"]
    table(console, f"a record's microseconds, {timed.records:,} records", columns, rows)
    keep("profile", {"without_timers": without._asdict(), "timed": timed._asdict()}, versions)


def _each(found: Profile, seconds: float) -> str:
    """Microseconds a record."""
    return f"{seconds / found.records * 1e6:.2f}"


def _rate(found: Profile) -> float:
    """Records a second."""
    return found.records / found.wall


def _told(found: Profile) -> list[tuple[str, float]]:
    return [(name, found.rows.get(name, 0.0)) for name in ROWS]


def _profiled(field: Environment, *, timers: bool) -> Profile:
    url = field.database()
    try:
        return in_a_fresh_process(_profile, field, url, timers)
    finally:
        field.drop(url)


def _profile(field: Environment, url: str, timers: bool) -> Profile:
    settings = load(
        {
            "database_url": url,
            "bootstrap_servers": field.bootstrap_servers,
            "topic": field.topic,
            "group_id": f"profile-{time.time_ns()}",
        }
    )
    member = Worker(settings)
    tune_gc()
    while not member.consumer.active:
        member.step()
    watch, processor = Stopwatch(REST), time.process_time()
    if timers:
        time_all(watch)
    while sum(member.outcomes.values()) < field.records:
        member.step()
    wall, processor = watch.stop(), time.process_time() - processor
    member.stop()
    return Profile(field.records, wall, processor, dict(watch.seconds))


def time_all(watch: Stopwatch) -> None:
    """Put the timers in; a function that was renamed since fails loudly."""
    watch.time(GroupConsumer, "poll", "poll", row_if_empty="waiting for records")
    for name in ("is_unrelated", "open_value"):
        watch.time(translate, name, "parse")
    watch.time(loop, "translate_batch", "translate")
    for name in ("_resolve_unavailable", "_read_working_set"):
        watch.time(transaction, name, "read rows")
    watch.time(transaction, "_send", "fold")
    watch.time(transaction, "write", "send")
    watch.time(PendingBatch, "wait", "await")
