"""Pushing: what the push of results costs a member, and what the relay costs per reply.

One member projects the recording into an empty database, without the push and with it, in turns. The processor time of
the member and of its sessions in Postgres counts, from its first partition to the last record. The event times of the
recording are old. So the push was switched on before the first of them, as if the member caught up with what happened
since. Then every end must be told, and the run fails unless as many are stored as an independent model says.

Then the relay sends the replies of the last run into a table that has every activity row of the recording.
"""

import re
import statistics
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import psycopg
from rich.console import Console

from benchmarks.environment import Environment, start_servers
from benchmarks.goals import Goal, ratios
from benchmarks.measurement import Failed, run_in_new_process
from benchmarks.processor import sessions_seconds
from benchmarks.profile import catch_up, started_member
from benchmarks.recording import START, Record, generate
from benchmarks.report import goals_table, table, write_results
from projector.push.relay import Relay
from projector.settings import load
from testbed.oracle.pushes import SwitchedOn, ends_to_tell
from testbed.workload.table import TABLES

QUICK = 6_000
"""Records of a run that only shows that it works."""
_ROWS_PER_INSERT = 2_000
_GRACE = timedelta(seconds=30)
_END = re.compile(rb'"method":"delegate_result".*"status":"(?:completed|failed)"', re.DOTALL)


class Cost(NamedTuple):
    """Processor seconds of our process, and of its sessions in Postgres."""

    ours: float
    postgres: float

    @property
    def both(self) -> float:
        return self.ours + self.postgres


class Stored(NamedTuple):
    """Rows of the tables of the push."""

    ends: int
    replies: int


class Relayed(NamedTuple):
    """How many replies the relay sent, in how many seconds."""

    replies: int
    seconds: float
    cost: Cost


class Logged(NamedTuple):
    """A record as the model reads it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Measure, print the tables, and write the results."""
    records, pairs = (QUICK, 1) if arguments.quick else (arguments.records, arguments.pairs)
    costs: list[tuple[Cost, Cost]] = []
    wanted = expected(generate(records))
    with start_servers(folder) as servers:
        versions = servers.versions
        environment = servers.publish("pushing", generate(records), console)
        url = ""
        for number in range(pairs):
            if url:
                environment.drop_database(url)
            without, _ = _projected(environment, "off", Stored(0, 0))
            pushing, url = _projected(environment, "inbox", wanted)
            costs.append((without, pushing))
            console.print(f"pair {number + 1}: {pushing.both / without.both:.3f} ({without.both:.2f} s without)")
        _fill_inbox(url, generate(records))
        relayed = run_in_new_process(_relay, environment, url)
    goal = _print(costs, relayed, records, console)
    console.print(f"stored with the push, as the model says: {wanted.ends:,} ends, {wanted.replies:,} replies")
    if arguments.quick:
        return
    result = {
        "records": records,
        "pairs": [{"off": off._asdict(), "on": on._asdict()} for off, on in costs],
        "stored": wanted._asdict(),
        "relay": {**relayed._asdict(), "cost": relayed.cost._asdict()},
        "goals": [goal.json],
    }
    write_results("pushing", result, versions)


def _print(costs: list[tuple[Cost, Cost]], relayed: Relayed, records: int, console: Console) -> Goal:
    without, pushing = zip(*costs, strict=True)
    lines = [
        _line("a member without the push, per record", without, records),
        _line("a member with the push, per record", pushing, records),
        _line("the relay, per reply", [relayed.cost], relayed.replies),
    ]
    table(console, "processor time in µs", ["median", "our process", "its sessions in Postgres", "together"], lines)
    rate = relayed.replies / relayed.seconds
    console.print(f"the relay: {relayed.replies:,} replies in {relayed.seconds:.1f} s, {rate:,.0f} replies/s")
    both = ratios([each.both for each in pushing], [each.both for each in without])
    goal = Goal("processor time with the push / without", "≤ 1.10", both)
    goals_table(console, [goal])
    return goal


def _line(name: str, costs: Iterable[Cost], count: int) -> list[str]:
    each = [(cost.ours, cost.postgres, cost.both) for cost in costs]
    return [name, *(f"{statistics.median(column) / count * 1e6:,.1f}" for column in zip(*each, strict=True))]


# --- the batch


def expected(log: Iterable[Record]) -> Stored:
    """What a member must store about this log, by a model that shares no code with the product."""
    records = list(_logged(log))
    told = ends_to_tell(records, SwitchedOn(START, {}), now=datetime.now(UTC), grace=_GRACE)
    return Stored(sum(bool(_END.search(each.value or b"")) for each in records), len(told))


def _logged(log: Iterable[Record]) -> Iterator[Logged]:
    offsets: Counter[int] = Counter()
    for record in log:
        yield Logged("", record.partition, offsets[record.partition], record.timestamp, record.value)
        offsets[record.partition] += 1


def _projected(environment: Environment, push: str, wanted: Stored) -> tuple[Cost, str]:
    """Project the topic into a new database, which stays with the push. Raises Failed unless it has what is wanted."""
    url = environment.create_database()
    with psycopg.connect(url, autocommit=True) as conn:
        if push != "off":
            conn.execute(
                "INSERT INTO projector.push (topic, switched_on_at) VALUES (%s, %s)", [environment.topic, START]
            )
        cost = run_in_new_process(project, environment, url, push)
        [stored] = conn.execute(
            "SELECT (SELECT count(*) FROM projector.ends), (SELECT count(*) FROM projector.outbox)"
        ).fetchall()
    if Stored(*stored) != wanted:
        raise Failed(f"PROJECTOR_RESULT_PUSH={push} stored {Stored(*stored)}, expected {wanted}")
    if push == "off":
        environment.drop_database(url)
    return cost, url


def project(environment: Environment, url: str, push: str) -> Cost:
    member = started_member(environment, url, result_push=push)
    with psycopg.connect(url, autocommit=True) as conn:
        before = time.process_time(), sessions_seconds(conn)
        catch_up(member, environment.records)
        cost = Cost(time.process_time() - before[0], sessions_seconds(conn) - before[1])
    member.stop()
    return cost


# --- the relay


def _fill_inbox(url: str, log: Iterable[Record]) -> None:
    """Create the platform's tables, with every activity row of the log."""
    values = [record.value.decode() for record in log if record.value]
    with psycopg.connect(url) as conn:
        conn.execute(TABLES)
        for start in range(0, len(values), _ROWS_PER_INSERT):
            rows = {"rows": values[start : start + _ROWS_PER_INSERT]}
            conn.execute(
                """
                INSERT INTO workspaces SELECT (row ->> 'workspace_id')::uuid FROM unnest(%(rows)s::jsonb[]) AS row
                ON CONFLICT DO NOTHING
                """,
                rows,
            )
            conn.execute(
                """
                INSERT INTO activity_logs
                SELECT a.* FROM unnest(%(rows)s::jsonb[]) AS row, jsonb_populate_record(NULL::activity_logs, row) AS a
                ON CONFLICT DO NOTHING
                """,
                rows,
            )
        conn.execute("ANALYZE")


def _relay(environment: Environment, url: str) -> Relayed:
    """Send what is due, as `projector push run --once` does. Raises Failed unless that is every reply."""
    places = {"database_url": url, "bootstrap_servers": environment.bootstrap_servers, "topic": environment.topic}
    relay = Relay(load({**places, "result_push": "inbox"}))
    with psycopg.connect(url, autocommit=True) as conn:
        [(due,)] = conn.execute("SELECT count(*) FROM projector.outbox").fetchall()
        before = time.process_time(), sessions_seconds(conn)
        done = relay.send_due()
        cost = Cost(time.process_time() - before[0], sessions_seconds(conn) - before[1])
        relay.close()
        [(told,)] = conn.execute(
            "SELECT count(*) FROM activity_logs WHERE activity_type = 'a2a_receive' AND method = 'delegate_result'"
        ).fetchall()
    if not due == told == done.sent:
        raise Failed(f"of {due:,} replies the relay sent {done.sent:,}, and {told:,} are in the inbox: {done}")
    return Relayed(done.sent, done.seconds, cost)
