"""Catching up and rebuilding: measures all contenders one after the other, in several rounds.

One table is for the recording, with all alternatives to the projector. The other is for the demo's mix.
"""

import statistics
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import quix as quix_streams
from benchmarks.environment import Environment, Servers, demo_mix, start_servers
from benchmarks.goals import Goal, ratios
from benchmarks.jdbc_sink import CONNECT, DEBEZIUM, TASKS, folded, jdbc_sink
from benchmarks.measurement import Contender, Measurement, Results, measure
from benchmarks.projecting import projector_rebuild, projector_run
from benchmarks.readers import librdkafka, naive, naive_by_poll, parsing, polling, source
from benchmarks.recording import generate
from benchmarks.report import goals_table, spread, table, write_results

LIBRDKAFKA = "polling alone, librdkafka"
SOURCE = "our source, polled alone"
POLLING = "polling alone, kafka-python"
QUIX, TWO_QUIX = "Quix Streams, one process", "Quix Streams, two processes"
JDBC_SINK = f"Debezium JDBC sink, {TASKS} tasks, folded rows"
NAIVE = "the naive way"
ONE, TWO = "projector run", "projector run --members 2"
REBUILD, ENVELOPES = "projector rebuild", "projector run, Debezium envelopes"
# Computed from those:
ONE_CLAIMED, TWO_CLAIMED = (f"{name}, all claimed" for name in (ONE, TWO))
BEST = "the better of one and two members"

GOALS = (
    ("one member / Quix Streams, one process", "≥ 1.5", ONE, QUIX),
    ("best of one and two members / two Quix processes", "≥ 1.2", BEST, TWO_QUIX),
    (f"best of one and two members / JDBC sink with {TASKS} tasks", "≥ 1.2", BEST, JDBC_SINK),
    ("two members / one, after every partition is claimed", "≥ 1.2", TWO_CLAIMED, ONE_CLAIMED),
    ("one member / the naive way", "≥ 18", ONE, NAIVE),
    ("our source polled alone / librdkafka polled alone", "≥ 0.8", SOURCE, LIBRDKAFKA),
    ("one member / librdkafka polled alone (0.35 wished)", "≥ 0.30", ONE, LIBRDKAFKA),
    ("rebuild / one member", "≥ 1.0", REBUILD, ONE),
    ("Debezium envelopes without schemas / bare rows", "≥ 0.8", ENVELOPES, ONE),
)


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Run the contenders, print tables and goals, and write the results. Exits if a contender failed."""
    with start_servers(folder) as servers:
        versions = {**servers.versions, **_VERSIONS}
        environments, contenders = _recorded(servers, arguments, console)
        recorded = measure(contenders, arguments.rounds, console)
        demo, demo_contenders = _demo(servers, arguments, console)
        mixed = measure(demo_contenders, 1, console)
    add_computed(recorded)
    _print(console, "the recording", recorded, environments[0])
    goals = compare(recorded.rates)
    goals_table(console, goals)
    _print(console, "the demo's mix", mixed, demo)
    result = {
        "rounds": arguments.rounds,
        "topics": {environment.topic: _described(environment) for environment in (*environments, demo)},
        "events_per_second": {"the recording": _as_json(recorded), "the demo's mix": _as_json(mixed)},
        "goals": [goal.json for goal in goals],
    }
    write_results("catching_up", result, versions)
    if failures := recorded.failures + mixed.failures:
        sys.exit("\n".join(failures))


def _recorded(
    servers: Servers, arguments: Namespace, console: Console
) -> tuple[tuple[Environment, ...], list[Contender]]:
    count, seconds = arguments.records, arguments.naive_seconds
    bare = servers.publish("bare-rows", generate(count), console)
    debezium = servers.publish("debezium", generate(count, debezium=True), console)
    rows = servers.publish("folded-rows", folded(generate(count)), console)
    contenders = [  # those of one goal are neighbours
        Contender("polling and parsing", partial(parsing, bare)),
        Contender(POLLING, partial(polling, bare)),
        Contender(LIBRDKAFKA, partial(librdkafka, bare)),
        Contender(SOURCE, partial(source, bare)),
        Contender(NAIVE, partial(naive, bare, seconds=seconds)),
        Contender("the naive way, a transaction a poll", partial(naive_by_poll, bare, seconds=seconds), once=True),
        Contender(ENVELOPES, partial(projector_run, debezium)),
        Contender(REBUILD, partial(projector_rebuild, bare)),
        Contender(ONE, partial(projector_run, bare)),
        Contender(QUIX, partial(quix_streams.quix, bare)),
        Contender(TWO_QUIX, partial(quix_streams.quix, bare, processes=2)),
        Contender(TWO, partial(projector_run, bare, members=2)),
        Contender(JDBC_SINK, partial(jdbc_sink, rows)),
    ]
    return (bare, debezium, rows), _selected(contenders, arguments)


def _demo(servers: Servers, arguments: Namespace, console: Console) -> tuple[Environment, list[Contender]]:
    environment = servers.publish("demo-mix", demo_mix(arguments.records // 2), console)
    contenders = [
        Contender(LIBRDKAFKA, partial(librdkafka, environment)),
        Contender(NAIVE, partial(naive, environment, seconds=arguments.naive_seconds)),
        Contender(ONE, partial(projector_run, environment)),
        Contender(REBUILD, partial(projector_rebuild, environment)),
    ]
    return environment, _selected(contenders, arguments)


def _selected(contenders: list[Contender], arguments: Namespace) -> list[Contender]:
    only = arguments.only or [""]
    return [each for each in contenders if any(part in each.name for part in only)]


def add_computed(results: Results) -> None:
    """Add the lines that are computed from those of one and two members."""
    for name, line in ((ONE, ONE_CLAIMED), (TWO, TWO_CLAIMED)):
        rates = [each.after_claims for each in results.measured.get(name, [])]
        if None in rates:
            results.drop(line, "not measured: too few records were left, use more --records")
        elif rates:
            results.measured[line] = [Measurement(rate) for rate in rates if rate]
    if ONE in results.measured and TWO in results.measured:
        pairs = zip(results.measured[ONE], results.measured[TWO], strict=True)
        results.measured[BEST] = [Measurement(max(each.events_per_second for each in pair)) for pair in pairs]


def compare(rates: Mapping[str, Sequence[float]]) -> list[Goal]:
    """Judge the goals by the rates of each round."""
    return [Goal(name, wanted, ratios(rates.get(of, ()), rates.get(to, ()))) for name, wanted, of, to in GOALS]


def _print(console: Console, title: str, results: Results, environment: Environment) -> None:
    medians = {name: statistics.median(rates) for name, rates in results.rates.items()}
    records_per_event = environment.records / environment.events
    rows: list[Sequence[str]] = []
    for name, measured in results.measured.items():
        rates = results.rates[name]
        in_records = [rate * records_per_event for rate in rates] if name != JDBC_SINK else []
        peaks = [each.peak_mebibytes for each in measured if each.peak_mebibytes]
        claimed = [each.claimed_after for each in measured if each.claimed_after]
        rows.append(
            [
                name,
                f"{statistics.median(in_records):,.0f}" if in_records else "",
                spread(in_records) if len(in_records) > 1 else "",
                f"{medians[name]:,.0f}",
                f"{medians[name] / medians[NAIVE]:.1f}" if NAIVE in medians else "",
                f"{medians[name] / medians[LIBRDKAFKA]:.0%}" if LIBRDKAFKA in medians else "",
                f"{max(peaks):.0f}" if peaks else "",
                f"{statistics.median(claimed):.1f}" if claimed else "",
            ]
        )
    columns = ["contender", "records/s", "spread", "events/s", "times naive", "of librdkafka", "peak MiB", "claimed s"]
    table(console, f"{title}: {environment.records:,} records, {environment.events:,} delegation events", columns, rows)
    for name, reason in results.missing.items():
        console.print(f"{name}: {reason}", soft_wrap=True)


def _described(environment: Environment) -> dict[str, float]:
    return {
        "records": environment.records,
        "events": environment.events,
        "delegations": environment.delegations,
        "mean_bytes": round(environment.mean_bytes),
    }


def _as_json(results: Results) -> dict[str, Any]:
    return {**{name: [one._asdict() for one in each] for name, each in results.measured.items()}, **results.missing}


_VERSIONS = {"quixstreams": quix_streams.VERSION, "kafka connect": CONNECT, "debezium jdbc sink": DEBEZIUM}
