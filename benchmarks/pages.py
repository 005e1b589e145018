"""Pages: how long the dashboard's answers take over many rows, and what the dashboard costs the projector.

open      the rate of a member that catches up, with twenty pages open and without, in turns
requests  every page and endpoint, with likely and with nasty filters: each likely one within a second
indexes   what the dashboard's two indexes cost a member, and what they save
down      how long until the overview says that Postgres, Kafka or the members do not run

Each part can run alone, and replaces its own part of the results. All figures are of one machine: ratios count.
"""

import json
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from rich.console import Console

from benchmarks.dashboard import dashboard
from benchmarks.environment import Environment, start_servers
from benchmarks.goals import Goal, ratios
from benchmarks.measurement import Failed
from benchmarks.page_indexes import VARIANTS, costs, savings
from benchmarks.page_outages import outages
from benchmarks.page_readers import OPEN, Run, pairs
from benchmarks.page_requests import GOAL_SECONDS, SEARCH_SECONDS, Timed, known, measured, requests, shown
from benchmarks.page_rows import fill
from benchmarks.pushing import Cost
from benchmarks.recording import generate
from benchmarks.report import RESULTS, goals_table, table, write_results
from projector.settings import load

PARTS = ("open", "requests", "indexes", "down")
QUICK = {"rows": 20_000, "records": 6_000, "rounds": 1, "pairs": 1}
"""A run that only shows that it works."""


class Found(NamedTuple):
    """What a part has measured, as JSON, and its goals."""

    figures: Any
    goals: list[Goal]


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Measure, print the tables, and write the results of each part. Raises Failed if a goal is missed, or a part."""
    size = Namespace(**{**vars(arguments), **(QUICK if arguments.quick else {})})
    goals: list[Goal] = []
    failures: list[str] = []

    def measure(part: str, run: Callable[[], Found], versions: Mapping[str, str]) -> None:
        try:
            found = run()
        except Failed as error:
            failures.append(f"{part}: {error}")
            console.print(f"FAILED: {failures[-1]}")
            return
        goals.extend(found.goals)
        if not arguments.quick:
            _write(part, {"rows": size.rows, **found.figures, "goals": [goal.json for goal in found.goals]}, versions)

    if over_rows := [part for part in PARTS if part in size.only and part != "down"]:
        with start_servers(folder) as servers:
            needs_log = over_rows != ["requests"]
            environment = servers.publish("pages", generate(size.records if needs_log else 1), console)
            url = size.database or _filled(environment, size.rows, console)
            runs = {"requests": _requests, "open": _open, "indexes": _indexes}
            for part in over_rows:
                measure(part, partial(runs[part], environment, url, size, console), servers.versions)
    if "down" in size.only:
        measure("down", lambda: _down(folder / "down", console), {})
    goals_table(console, goals)
    if not arguments.quick:
        failures += [f"missed: {goal.name}" for goal in goals if goal.reached is False]
    if failures:
        raise Failed("; ".join(failures))


def _write(part: str, figures: Mapping[str, Any], versions: Mapping[str, str]) -> None:
    """Replace the results of this part; those of the others stay as they are."""
    file = RESULTS / "pages.json"
    before = json.loads(file.read_text()) if file.exists() else {}
    kept = {name: before[name] for name in PARTS if name in before}
    write_results("pages", {**kept, part: figures}, versions or _servers(before))


def _servers(before: Mapping[str, Any]) -> dict[str, str]:
    return {name: each for name, each in before.get("versions", {}).items() if name.startswith(("postgres", "kafka,"))}


def _filled(environment: Environment, rows: int, console: Console) -> str:
    url, started = environment.create_database(), time.monotonic()
    with psycopg.connect(url, autocommit=True) as conn:
        fill(conn, rows=rows)
    console.print(f"{rows:,} rows inserted in {time.monotonic() - started:.0f} s")
    return url


def _requests(environment: Environment, url: str, size: Namespace, console: Console) -> Found:
    with psycopg.connect(url) as conn:
        asked = requests(known(conn))
    with dashboard(environment, url) as running, running.client() as client:
        _await_counts(client.get, console)
        timed = measured(client, asked, size.rounds)
    lines = [
        [shown(each.path), f"{each.median * 1e3:,.0f}", f"{max(each.seconds) * 1e3:,.0f}", f"{each.first * 1e3:,.0f}",
         f"{each.size / 1e3:,.0f}", "took too long" if each.is_too_long else ""]
        for each in sorted(timed, key=lambda each: (not each.is_likely, -each.median))
    ]  # fmt: skip
    table(console, "milliseconds", ["request, nasty ones last", "median", "largest", "first", "KB", ""], lines)
    return Found({"requests": [each._asdict() for each in timed]}, _goals_of_requests(timed))


def _goals_of_requests(timed: Sequence[Timed]) -> list[Goal]:
    likely = [each for each in timed if each.is_likely]
    groups = {"slowest likely request": (False, GOAL_SECONDS), "with a search": (True, GOAL_SECONDS + SEARCH_SECONDS)}
    goals = []
    for name, (searches, seconds) in groups.items():
        slowest = max(
            (each for each in likely if each.searches == searches), key=lambda each: each.median, default=None
        )
        if slowest:
            goals.append(Goal(f"{name}, {shown(slowest.path)}", f"≤ {seconds:g} s", [slowest.median]))
    return [
        *goals,
        Goal("likely requests that took too long", "≤ 0", [float(sum(each.is_too_long for each in likely))]),
    ]


def _await_counts(get: Callable[[str], Any], console: Console) -> None:
    """The first counts by status: until then the endpoint answers 503."""
    started = time.monotonic()
    while get("/admin/delegations/stats").status == 503:
        if time.monotonic() > started + 120:
            raise Failed("no counts by status after two minutes")
        time.sleep(0.1)
    console.print(f"the first counts by status: {time.monotonic() - started:.1f} s after the start")


def _open(environment: Environment, url: str, size: Namespace, console: Console) -> Found:
    runs: list[tuple[Run, Run]] = []
    with psycopg.connect(url) as conn:
        of = known(conn)
    with dashboard(environment, url) as running:
        for without, beside in pairs(environment, url, running, of, size.pairs):
            runs.append((without, beside))
            ratio = beside.records_per_second / without.records_per_second
            each_ms = beside.dashboard_seconds / max(beside.answers, 1) * 1e3
            console.print(
                f"pair {len(runs)}: {ratio:.3f} of {without.records_per_second:,.0f} records/s. "
                f"{beside.answers} answers "
                f"of {each_ms:.0f} ms of the dashboard's processor time, "
                f"median {beside.median * 1e3:.0f} ms, slowest {beside.slowest * 1e3:.0f} ms"
            )
    alone, with_pages = [each for each, _ in runs], [each for _, each in runs]
    rates = ratios([each.records_per_second for each in with_pages], [each.records_per_second for each in alone])
    used = ratios([each.processor_seconds for each in with_pages], [each.processor_seconds for each in alone])
    goals = [
        Goal(f"rate of a member with {OPEN} pages open / without", "≥ 0.95", rates),
        Goal(f"its processor time with {OPEN} pages open / without", "≤ 1.05", used),
        Goal("slowest answer meanwhile", f"≤ {GOAL_SECONDS:g} s", [each.slowest for each in with_pages]),
    ]
    figures = [{"without": without._asdict(), "with": beside._asdict()} for without, beside in runs]
    return Found({"pairs": figures}, goals)


def _shown(rounds: Iterator[dict[str, Cost]], console: Console) -> Iterator[dict[str, Cost]]:
    for number, each in enumerate(rounds):
        both = each["both indexes"].both
        console.print(f"round {number + 1}: " + ", ".join(f"{n}: {both / each[n].both:.3f}" for n in each))
        yield each


def _indexes(environment: Environment, url: str, size: Namespace, console: Console) -> Found:
    rounds = list(_shown(costs(environment, size.rounds), console))
    saved = list(savings(load({"database_url": url})))
    lines = [[each.name, each.read, f"{each.with_it * 1e3:,.1f}", f"{each.without_it * 1e3:,.0f}"] for each in saved]
    table(console, "milliseconds of a read", ["index", "read", "with it", "without it"], lines)
    with_both = [each["both indexes"].both for each in rounds]
    goals = [
        Goal(f"processor time of a member and its sessions, both indexes / {name}", "≤ 1.15",
             ratios(with_both, [each[name].both for each in rounds]))
        for name in VARIANTS if name != "both indexes"
    ]  # fmt: skip
    goals += [
        Goal(f"{each.read}, without {each.name} / with it", "≥ 2", [each.without_it / each.with_it]) for each in saved
    ]
    figures = {
        "rounds": [{name: cost._asdict() for name, cost in each.items()} for each in rounds],
        "saved": [each._asdict() for each in saved],
    }
    return Found(figures, goals)


def _down(folder: Path, console: Console) -> Found:
    found = []
    for each in outages(folder):
        found.append(each)
        console.print(f"{each.name}: {each.seconds:.1f} s; slowest answer {each.slowest:.1f} s")
    lines = [
        [each.name, f"{each.seconds:.1f}", f"{each.slowest:.1f}", f"{each.recovered:.1f}" if each.recovered else ""]
        for each in found
    ]
    columns = ["seconds until the overview says so", "", "slowest answer", "until all is well again"]
    table(console, "outages", columns, lines)
    goals = [Goal(f"{each.name}: the overview says so", f"{each.goal} s", [each.seconds]) for each in found]
    return Found({"outages": [each._asdict() for each in found]}, goals)
