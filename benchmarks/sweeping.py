"""Sweeping: the time of each step of a pass over a large view, and whether each statement uses its index.

The steps are the product's own functions, with the statements that the sweeper runs. Each round runs all of them in
turn, after one that only warms up. The ratio is to the baseline of the same round: 500 rows, looked up by primary key.
The run fails if a plan reads a table as a whole, or does not use the expected index. Then come whole passes, as
`projector sweep --once --anyway` makes them; the verdicts are deleted after each.
"""

import re
import statistics
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from rich.console import Console

from benchmarks.environment import Environment, start_servers
from benchmarks.measurement import Failed
from benchmarks.platform_rows import AGES, fill
from benchmarks.report import table, write_results
from projector.contract.facts import Status
from projector.domain.overdue import HEARD_WITHIN, InFlight, Leave, Thresholds, Verdict, judge, verdict
from projector.postgres import delegations, queries, sweep_candidates
from projector.postgres.connection import Connection, open_view
from projector.postgres.sweep_truth import Found
from projector.settings import Settings, load
from projector.sweep.one_pass import Mode
from projector.sweep.sink import ActivityLogs
from projector.sweep.sweeper import Sweeper

SILENT, OVERDUE = 10_000, 500
QUICK = Namespace(rows=200_000, activities=100_000, rounds=1, passes=1, silent=1_500)
"""A run that only shows that it works."""
BASELINE = "500 rows by primary key"
_BY_KEY, _IN_FLIGHT = "delegations_pkey", "idx_delegations_inflight_heartbeat"
_BY_WORKSPACE, _BY_TIME = "activity_logs_workspace_type_created", "activity_logs_created"


class Step(NamedTuple):
    """A step of a pass, and the index that its plan must use."""

    name: str
    run: Callable[[], Sequence[Any]]
    needs: str


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Measure, print the table, and write the results. Raises Failed if a statement uses no index."""
    size = QUICK if arguments.quick else Namespace(**vars(arguments), silent=SILENT)
    with start_servers(folder) as servers:
        versions = servers.versions
        environment = Environment(*servers, "sweeping", 0, 0, 0, 0)
        url = environment.create_database()
        settings = load({"database_url": url, "topic": environment.topic})
        with psycopg.connect(url, autocommit=True) as conn:
            started = time.monotonic()
            fill(conn, ended=size.rows, activities=size.activities, silent=size.silent, overdue=OVERDUE)
            console.print(f"{size.rows + size.activities:,} rows inserted in {time.monotonic() - started:.0f} s")
            with open_view(settings) as view:
                steps = _steps(view, settings)
                for step in steps:
                    plan = require_index(step, explained(view, step.run))
                    console.print(f"{step.name}:", *scans(plan), sep="\n    ", highlight=False, soft_wrap=True)
                seconds = measured(steps, size.rounds)
            rates = [_swept(conn, settings, size.silent) for _ in range(size.passes)]
    title = f"{size.rows:,} delegations, {size.silent + OVERDUE:,} in flight, {size.activities:,} activity rows"
    table(console, title, ["step", "median ms", "of the baseline", ""], rows(seconds))
    console.print(f"verdicts per second of a whole pass: {', '.join(f'{rate:,.0f}' for rate in rates)}")
    if not arguments.quick:
        sizes = {"rows": size.rows, "activities": size.activities, "silent": size.silent, "overdue": OVERDUE}
        write_results("sweeping", {**sizes, "seconds": seconds, "verdicts_per_second": rates}, versions)


def rows(seconds: dict[str, list[float]]) -> list[list[str]]:
    """The lines of the table: each step with its median, and its ratios to the baseline of the same round."""
    lines = []
    for name, each in seconds.items():
        ratios = [one / baseline for one, baseline in zip(each, seconds[BASELINE], strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        lines.append([name, f"{statistics.median(each) * 1e3:,.1f}", f"{statistics.median(ratios):.2f}", spread])
    return lines


def measured(steps: Sequence[Step], rounds: int) -> dict[str, list[float]]:
    """Step → its seconds in each round."""
    seconds: dict[str, list[float]] = {step.name: [] for step in steps}
    for number in range(rounds + 1):
        for step in steps:
            began_at = time.perf_counter()
            step.run()
            if number:
                seconds[step.name].append(time.perf_counter() - began_at)
    return seconds


# --- plans


def explained(conn: Connection, run: Callable[[], object]) -> str:
    """Call `run`, and return the plans of its statements, each with its parameters."""
    executed: list[tuple[Any, Any]] = []

    class Noting(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            executed.append((query, params))
            return super().execute(query, params, **options)

    before, conn.cursor_factory = conn.cursor_factory, Noting
    try:
        run()
    finally:
        conn.cursor_factory = before
    cursor = psycopg.ClientCursor(conn)
    plans = [cursor.execute(sql.SQL("EXPLAIN ") + sql.SQL(query), params).fetchall() for query, params in executed]
    return "\n".join(line for plan in plans for (line,) in plan)


def require_index(step: Step, plan: str) -> str:
    """Return the plan. Raises Failed if it reads a table as a whole, or does not use the index of the step."""
    if found := re.search(r"Seq Scan on (?:delegations|activity_logs)\b", plan):
        raise Failed(f"{step.name}: {found[0]}, not a scan of {step.needs}:\n{plan}")
    if not re.search(rf"\b{step.needs}\b", plan):
        raise Failed(f"{step.name}: the plan does not use {step.needs}:\n{plan}")
    return plan


def scans(plan: str) -> list[str]:
    """How the plan uses indexes, each way once."""
    found = re.findall(r"(?:Index Only|Index|Bitmap Index) Scan (?:Backward )?(?:using|on) \w+", plan)
    return list(dict.fromkeys(found))


# --- the sweeper


def _steps(conn: Connection, settings: Settings) -> list[Step]:
    truth, now = ActivityLogs(conn), queries.clock(conn)
    threshold, grace = (
        timedelta(seconds=settings.stuck_after_seconds),
        timedelta(seconds=settings.deadline_grace_seconds),
    )
    before = now - threshold

    def silent() -> list[list[InFlight]]:
        return list(sweep_candidates.silent(conn, now=now, before=before))

    def check(verdicts: Sequence[Verdict]) -> Sequence[Any]:
        found = truth.check(verdicts)
        if wrong := [each for each in found if each.found is not Found.DUE]:
            raise Failed(f"{len(wrong):,} of {len(found):,} candidates are not due, such as {wrong[0]}")
        return found

    pages = silent()
    ids = [row.delegation_id for row in pages[0]]
    thresholds = Thresholds(threshold, grace, settings.never_heard)
    checks = []
    for age, page in zip(AGES, pages, strict=False):
        judged = [(row, judge(row, thresholds, now=now)) for row in page]
        stuck = [verdict(row, each, thresholds, judged_at=now) for row, each in judged if not isinstance(each, Leave)]
        name = f"live check of {len(stuck)}, requested within {age}"
        checks.append(Step(name, partial(check, stuck), _BY_WORKSPACE))
    return [
        Step(BASELINE, lambda: delegations.read_states(conn, ids), _BY_KEY),
        Step(f"silent scan, {sum(map(len, pages)):,} rows in {len(pages)} pages", silent, _IN_FLIGHT),
        Step(
            f"deadline scan, {OVERDUE} rows",
            lambda: list(sweep_candidates.overdue(conn, before=now - grace)),
            _IN_FLIGHT,
        ),
        Step(
            "callees that speak",
            lambda: [sweep_candidates.speaking(conn, now=now, since=now - HEARD_WITHIN)],
            _IN_FLIGHT,
        ),
        *reversed(checks),
        Step("gap query", lambda: truth.signs(now, threshold), _BY_TIME),
    ]


def _swept(conn: Connection, settings: Settings, silent: int) -> float:
    """Make a pass without the brake, and delete its verdicts; returns verdicts per second."""
    with Sweeper(settings, Mode(anyway=True)) as sweeper:
        report = sweeper.sweep()
    wanted = {Status.STUCK: silent, Status.FAILED: min(OVERDUE, settings.sweep_max_failed)}
    if report.written != wanted:
        raise Failed(f"the pass wrote {report.written}, expected {wanted}: {report}")
    conn.execute("DELETE FROM activity_logs WHERE method = 'verdict' AND created_at >= %s", [report.judged_at])
    conn.execute("VACUUM activity_logs")
    return sum(wanted.values()) / report.seconds
