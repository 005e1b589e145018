"""Catching up and rebuilding: measures all contenders one after the other, in several rounds.

One table is for the recording, with all alternatives to the projector. The other is for the demo's mix.
"""

import statistics
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import quix as quix_streams
from benchmarks.environment import Environment, Servers, demo_mix, start_servers
from benchmarks.jdbc_sink import CONNECT, DEBEZIUM, TASKS, folded, jdbc_sink
from benchmarks.measurement import Contender, Measurement, NotMeasured
from benchmarks.projecting import projector_rebuild, projector_run
from benchmarks.readers import naive, naive_by_poll, parsing, polling
from benchmarks.recording import generate
from benchmarks.report import spread, table, write_results

NAIVE = "the naive way"
POLLING = "polling alone"


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Run the contenders, print their tables, and write the results."""
    with start_servers(folder) as servers:
        environments, contenders = _recorded(servers, arguments, console)
        measured = _rounds(contenders, arguments, console)
        demo, demo_contenders = _demo(servers, arguments, console)
        measured_demo = _rounds(demo_contenders, arguments, console)
        versions = servers.versions
    _print(console, "the recording", measured, contenders, environments[0])
    _print(console, "the demo's mix", measured_demo, demo_contenders, demo)
    result = {
        "rounds": arguments.rounds,
        "topics": {environment.topic: _described(environment) for environment in (*environments, demo)},
        "events_per_second": {"the recording": _as_json(measured), "the demo's mix": _as_json(measured_demo)},
    }
    write_results("catching_up", result, {**versions, **_versions()})


def _recorded(
    servers: Servers, arguments: Namespace, console: Console
) -> tuple[tuple[Environment, ...], dict[str, Contender]]:
    count, seconds = arguments.records, arguments.naive_seconds
    bare = servers.publish("bare-rows", generate(count), console)
    debezium = servers.publish("debezium", generate(count, debezium=True), console)
    rows = servers.publish("folded-rows", folded(generate(count)), console)
    contenders = [
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
    return (bare, debezium, rows), {each.name: each for each in contenders}


def _demo(servers: Servers, arguments: Namespace, console: Console) -> tuple[Environment, dict[str, Contender]]:
    environment = servers.publish("demo-mix", demo_mix(arguments.records // 2), console)
    tenth = servers.publish("demo-mix-tenth", demo_mix(arguments.records // 20), console)
    contenders = [
        Contender(POLLING, partial(polling, environment)),
        Contender(NAIVE, partial(naive, environment, seconds=arguments.naive_seconds)),
        Contender("projector run", partial(projector_run, environment)),
        Contender("projector rebuild", partial(projector_rebuild, environment)),
        Contender("projector rebuild, a tenth of the records", partial(projector_rebuild, tenth)),
    ]
    return environment, {each.name: each for each in contenders}


def _rounds(
    contenders: dict[str, Contender], arguments: Namespace, console: Console
) -> dict[str, list[Measurement] | NotMeasured]:
    """Return the measurements of each contender, or why it could not run."""
    measured: dict[str, list[Measurement] | NotMeasured] = {name: [] for name in contenders}
    for number in range(arguments.rounds):
        for name, contender in contenders.items():
            before = measured[name]
            if isinstance(before, NotMeasured) or not _selected(name, arguments):
                continue
            try:
                before.append(contender.run())
                console.print(f"round {number + 1}: {name}: {before[-1].events_per_second:,.0f} delegation events/s")
            except NotMeasured as reason:
                measured[name] = reason
                console.print(f"{name}: {reason}")
    return {name: each for name, each in measured.items() if each}


def _selected(name: str, arguments: Namespace) -> bool:
    return not arguments.only or any(part in name for part in arguments.only)


def _print(
    console: Console,
    title: str,
    measured: dict[str, list[Measurement] | NotMeasured],
    contenders: dict[str, Contender],
    environment: Environment,
) -> None:
    medians = {name: _median(each) for name, each in measured.items() if not isinstance(each, NotMeasured)}
    rows: list[Sequence[str]] = []
    for name, each in measured.items():
        if isinstance(each, NotMeasured):
            rows.append([name, "not measured", str(each)])
            continue
        median, rates = medians[name], [one.events_per_second for one in each]
        peaks = [one.peak_mebibytes for one in each if one.peak_mebibytes]
        rows.append(
            [
                name,
                f"{median:,.0f}",
                spread(rates),
                f"{median * environment.records / environment.events:,.0f}" if contenders[name].sees_all else "",
                f"{median / medians[NAIVE]:.1f}" if NAIVE in medians else "",
                f"{median / medians[POLLING]:.0%}" if POLLING in medians else "",
                f"{max(peaks):.0f}" if peaks else "",
            ]
        )
    columns = ["contender", "events/s", "spread", "records/s", "times naive", "of polling", "peak MiB"]
    table(console, f"{title}: {environment.records:,} records, {environment.events:,} delegation events", columns, rows)


def _median(measured: list[Measurement]) -> float:
    return statistics.median(each.events_per_second for each in measured)


def _described(environment: Environment) -> dict[str, float]:
    return {
        "records": environment.records,
        "events": environment.events,
        "delegations": environment.delegations,
        "mean_bytes": round(environment.mean_bytes),
    }


def _as_json(measured: dict[str, list[Measurement] | NotMeasured]) -> dict[str, Any]:
    return {
        name: str(each) if isinstance(each, NotMeasured) else [one._asdict() for one in each]
        for name, each in measured.items()
    }


def _versions() -> dict[str, str]:
    return {"quixstreams": quix_streams.VERSION, "kafka connect": CONNECT, "debezium jdbc sink": DEBEZIUM}
