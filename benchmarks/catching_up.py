"""Catching up and rebuilding: the contenders one after the other, so many rounds, in two tables.

One table is of the bench's recording, with everything that somebody could pick instead; the other of the demo's mix.
"""

import statistics
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import quix as quix_streams
from benchmarks.environment import Environment, Servers, demo_mix, servers
from benchmarks.jdbc_sink import CONNECT, DEBEZIUM, TASKS, folded, jdbc_sink
from benchmarks.measured import Contender, Measured, NotHere
from benchmarks.projecting import projector_rebuild, projector_run
from benchmarks.readers import naive, naive_by_poll, parsing, polling
from benchmarks.recording import made
from benchmarks.report import keep, spread, table

NAIVE = "the naive way"
POLLING = "polling alone"


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Run the contenders, print their tables, and keep what was measured."""
    with servers(folder) as places:
        fields, contenders = _recorded(places, arguments, console)
        found = _rounds(contenders, arguments, console)
        of_demo, others = _demo(places, arguments, console)
        found_of_demo = _rounds(others, arguments, console)
        versions = places.versions
    _print(console, "the recording", found, contenders, fields[0])
    _print(console, "the demo's mix", found_of_demo, others, of_demo)
    measured = {
        "rounds": arguments.rounds,
        "topics": {field.topic: _told(field) for field in (*fields, of_demo)},
        "events_per_second": {"the recording": _listed(found), "the demo's mix": _listed(found_of_demo)},
    }
    keep("catching_up", measured, {**versions, **_versions()})


def _recorded(
    places: Servers, arguments: Namespace, console: Console
) -> tuple[tuple[Environment, ...], dict[str, Contender]]:
    count, seconds = arguments.records, arguments.naive_seconds
    bare = places.field("bare-rows", made(count), console)
    debezium = places.field("debezium", made(count, debezium=True), console)
    rows = places.field("folded-rows", folded(made(count)), console)
    listed = [
        Contender(POLLING, partial(polling, bare)),
        Contender("polling and parsing", partial(parsing, bare)),
        Contender("Quix Streams, one process", partial(quix_streams.quix, bare)),
        Contender("Quix Streams, two processes", partial(quix_streams.quix, bare, processes=2)),
        Contender(NAIVE, partial(naive, bare, seconds=seconds)),
        Contender("the naive way, a transaction a poll", partial(naive_by_poll, bare, seconds=seconds)),
        Contender(f"Debezium JDBC sink, {TASKS} tasks, folded rows", partial(jdbc_sink, rows), sees_all=False),
        Contender("projector run", partial(projector_run, bare)),
        Contender("projector run --members 2", partial(projector_run, bare, members=2)),
        Contender("projector rebuild", partial(projector_rebuild, bare)),
        Contender("projector run, Debezium envelopes", partial(projector_run, debezium)),
    ]
    return (bare, debezium, rows), {each.name: each for each in listed}


def _demo(places: Servers, arguments: Namespace, console: Console) -> tuple[Environment, dict[str, Contender]]:
    field = places.field("demo-mix", demo_mix(arguments.records // 2), console)
    tenth = places.field("demo-mix-tenth", demo_mix(arguments.records // 20), console)
    listed = [
        Contender(POLLING, partial(polling, field)),
        Contender(NAIVE, partial(naive, field, seconds=arguments.naive_seconds)),
        Contender("projector run", partial(projector_run, field)),
        Contender("projector rebuild", partial(projector_rebuild, field)),
        Contender("projector rebuild, a tenth of the records", partial(projector_rebuild, tenth)),
    ]
    return field, {each.name: each for each in listed}


def _rounds(
    contenders: dict[str, Contender], arguments: Namespace, console: Console
) -> dict[str, list[Measured] | NotHere]:
    """Each contender's rounds, or why it could not run."""
    found: dict[str, list[Measured] | NotHere] = {name: [] for name in contenders}
    for number in range(arguments.rounds):
        for name, contender in contenders.items():
            before = found[name]
            if isinstance(before, NotHere) or not _asked_for(name, arguments):
                continue
            try:
                before.append(contender.run())
                console.print(f"round {number + 1}: {name}: {before[-1].events_per_second:,.0f} delegation events/s")
            except NotHere as reason:
                found[name] = reason
                console.print(f"{name}: {reason}")
    return {name: each for name, each in found.items() if each}


def _asked_for(name: str, arguments: Namespace) -> bool:
    return not arguments.only or any(part in name for part in arguments.only)


def _print(
    console: Console,
    title: str,
    found: dict[str, list[Measured] | NotHere],
    contenders: dict[str, Contender],
    field: Environment,
) -> None:
    medians = {name: _median(each) for name, each in found.items() if not isinstance(each, NotHere)}
    rows: list[Sequence[str]] = []
    for name, each in found.items():
        if isinstance(each, NotHere):
            rows.append([name, "not here", str(each)])
            continue
        median, rates = medians[name], [one.events_per_second for one in each]
        peaks = [one.peak_mebibytes for one in each if one.peak_mebibytes]
        rows.append(
            [
                name,
                f"{median:,.0f}",
                spread(rates),
                f"{median * field.records / field.events:,.0f}" if contenders[name].sees_all else "",
                f"{median / medians[NAIVE]:.1f}" if NAIVE in medians else "",
                f"{median / medians[POLLING]:.0%}" if POLLING in medians else "",
                f"{max(peaks):.0f}" if peaks else "",
            ]
        )
    columns = ["contender", "events/s", "spread", "records/s", "times naive", "of polling", "peak MiB"]
    table(console, f"{title}: {field.records:,} records, {field.events:,} delegation events", columns, rows)


def _median(measured: list[Measured]) -> float:
    return statistics.median(each.events_per_second for each in measured)


def _told(field: Environment) -> dict[str, float]:
    return {
        "records": field.records,
        "events": field.events,
        "delegations": field.delegations,
        "mean_bytes": round(field.mean_bytes),
    }


def _listed(found: dict[str, list[Measured] | NotHere]) -> dict[str, Any]:
    return {
        name: str(each) if isinstance(each, NotHere) else [one._asdict() for one in each]
        for name, each in found.items()
    }


def _versions() -> dict[str, str]:
    return {"quixstreams": quix_streams.VERSION, "kafka connect": CONNECT, "debezium jdbc sink": DEBEZIUM}
