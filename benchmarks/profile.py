"""Profile: time per record and step of a member in its own process, its functions timed while it catches up.

Every moment is charged to the innermost timed function, so the rows add up to the wall time. The timers have a cost,
most of it in the first rows, where there is one per record: the benchmark runs once without timers, and the table shows
both. *Complete translation* also counts its records: a feed that the fast path never takes is seen there.
Wall time that is not CPU time of this process is time of others: Postgres, the broker, other processes on this core.
"""

import time
from argparse import Namespace
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from benchmarks.environment import Environment, start_servers
from benchmarks.measurement import run_in_new_process
from benchmarks.recording import generate
from benchmarks.report import table, write_results
from benchmarks.stopwatch import Stopwatch
from projector.contract import fast, translate
from projector.kafka.consumer import GroupConsumer
from projector.process.memory import tune_memory
from projector.projection import gathering, sending, transaction
from projector.projection.transaction import PendingBatch
from projector.settings import load
from projector.worker.loop import Worker

COMPLETE = "complete translation"
REST = "the member's loop: cutting batches, ticks"
ROWS = {
    "poll": "fetch and decode",
    "waiting for records": "polls without records",
    "unrelated?": "the markers of a record",
    "fast translation": "ordinary records to events",
    COMPLETE: "all other records to events",
    "translate": "the rest of a batch's translation",
    "read rows": "the rows of the batch, parked events, large rows",
    "fold": "new rows and changes",
    "send": "changes into arrays, arrays to Postgres",
    "await": "until Postgres has written and committed",
    REST: "",
}


class Profile(NamedTuple):
    """Seconds for all records: wall time, CPU time, and wall time by row."""

    records: int
    wall: float
    processor: float
    rows: dict[str, float]
    complete: int
    """Records that the fast path refused; 0 without timers."""


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Measure without timers and with them, print a table, and write the results."""
    with start_servers(folder) as servers:
        versions = servers.versions
        environment = servers.publish("profile", generate(arguments.records, debezium=arguments.debezium), console)
        without, timed = (_profiled(environment, timers=timers) for timers in (False, True))
    rows = [
        [name, _per_record(timed, seconds), f"{seconds / timed.wall:.0%}", ROWS[name]] for name, seconds in _rows(timed)
    ]
    share = f"{timed.complete / timed.records:.1%} of the records"
    rows.append([f"records in the {COMPLETE}", f"{timed.complete:,}", "", share])
    rows.append(["total wall time", _per_record(timed, timed.wall), "100%", ""])
    rows.append(["CPU time of this process", _per_record(timed, timed.processor), "", "the rest: waiting"])
    rows.append(["total without timers", _per_record(without, without.wall), "", f"{_rate(without):,.0f} records/s"])
    columns = ["where", "µs per record", "share", "what"]
    table(console, f"time per record, {timed.records:,} records", columns, rows)
    write_results("profile", {"without_timers": without._asdict(), "timed": timed._asdict()}, versions)


def _per_record(profile: Profile, seconds: float) -> str:
    """Format microseconds per record."""
    return f"{seconds / profile.records * 1e6:.2f}"


def _rate(profile: Profile) -> float:
    """Records per second."""
    return profile.records / profile.wall


def _rows(profile: Profile) -> list[tuple[str, float]]:
    return [(name, profile.rows.get(name, 0.0)) for name in ROWS]


def _profiled(environment: Environment, *, timers: bool) -> Profile:
    url = environment.create_database()
    try:
        return run_in_new_process(_profile, environment, url, timers)
    finally:
        environment.drop_database(url)


def started_member(environment: Environment, url: str, **settings: str) -> Worker:
    """Start a member in this process; returns it when it owns partitions, before it projects."""
    places = {"database_url": url, "bootstrap_servers": environment.bootstrap_servers, "topic": environment.topic}
    member = Worker(load({**places, "group_id": f"profile-{time.time_ns()}", **settings}))
    tune_memory()
    while not member.consumer.active:
        member.step()
    return member


def catch_up(member: Worker, records: int) -> None:
    """Let the member project this many records."""
    while sum(member.outcomes.values()) < records:
        member.step()


def _profile(environment: Environment, url: str, timers: bool) -> Profile:
    member = started_member(environment, url)
    watch, cpu_before = Stopwatch(REST), time.process_time()
    if timers:
        time_all(watch)
    catch_up(member, environment.records)
    wall, processor = watch.stop(), time.process_time() - cpu_before
    member.stop()
    return Profile(environment.records, wall, processor, dict(watch.seconds), watch.calls[COMPLETE])


def time_all(watch: Stopwatch) -> None:
    """Time the functions of a member; raises AttributeError if one of them was renamed."""
    watch.time(GroupConsumer, "poll", "poll", row_if_empty="waiting for records")
    time_translation(watch)
    watch.time(gathering, "translate_each", "translate")
    for name in ("_resolve_unavailable", "_read_working_set"):
        watch.time(sending, name, "read rows")
    watch.time(transaction, "send_batch", "fold")
    watch.time(sending, "write", "send")
    watch.time(PendingBatch, "wait", "await")


def time_translation(watch: Stopwatch) -> None:
    """Time the steps that translate one record."""
    watch.time(translate, "is_unrelated", "unrelated?")
    watch.time(fast, "translate", "fast translation")
    watch.time(translate, "translate_completely", COMPLETE)
