"""`projector rebuild`: writes what differs between the view and its source, while the view is in use."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from projector.cli.drift_report import not_proved, print_report, report_json, why_nothing_was_compared
from projector.cli.exit_codes import DONE, DRIFT, NOTHING_FOUND
from projector.cli.open_transactions import note_open_transactions
from projector.cli.output import confirm, note
from projector.cli.passes import remember
from projector.cli.reconcile import TOPIC, compare
from projector.cli.terminal import wrap
from projector.errors import Misconfigured
from projector.ledger.validation import identifier
from projector.postgres.connection import open_view
from projector.postgres.outbox_missing import count_never_queued
from projector.rebuild.comparison import Options
from projector.rebuild.drift import DriftKind
from projector.rebuild.reconcile import Result
from projector.rebuild.repair import Applied
from projector.rebuild.report import DriftReport
from projector.settings import Settings
from projector.texts import command, counted, escape, named


def rebuild(
    settings: Settings,
    source: Sequence[str],
    dry_run: bool,
    only: Sequence[str],
    drop_uncovered: bool,
    yes: bool,
    json_output: bool,
) -> int:
    """Print the plan, ask if anything is deleted, rebuild, and print what was written."""
    options = Options(repair=not dry_run, only=frozenset(map(_checked_id, only)), drop_uncovered=drop_uncovered)

    def approve(plan: DriftReport) -> None:
        _print_plan(plan, json_output)
        if not yes and (plan.deletes or drop_uncovered):
            confirm(_destruction(plan))

    started_at = datetime.now(UTC)
    result = compare(settings, source, options, approve)
    if json_output:
        print(json.dumps({**report_json(result.report), **_written_json(result)}))
    else:
        if dry_run or not result.report.drift:
            print_report(result.report)
        print(wrap(_conclusion(result, "the selection" if only else "the view", dry_run=dry_run)))
    if list(source) == [TOPIC]:
        note_open_transactions(settings, "not compared")
    if not dry_run:
        drift = result.remaining.drift if result.remaining else 0
        counts = {"source": source[0], "compared": result.report.totals.compared, "drift": drift}
        remember(settings, "rebuild", started_at, counts | {"repaired": result.report.drift - drift})
        _note_without_reply(settings)
    return _exit_code(result)


def _note_without_reply(settings: Settings) -> None:
    """A rebuild queues no reply. Print how many delegations have none, and the command that queues them."""
    with open_view(settings.model_copy(update={"statement_timeout_ms": 0})) as conn:
        count = count_never_queued(conn, settings.topic)
    if count:
        note(
            f"{counted(count, 'delegation')} ended since results are pushed and have no reply in the outbox: "
            "`projector push missing --send` queues them"
        )


def _checked_id(text: str) -> str:
    """A delegation's id, if the rules of events accept it."""
    try:
        return identifier(text)
    except ValueError as error:
        raise Misconfigured(f"--only: {error}") from None


def _print_plan(plan: DriftReport, json_output: bool) -> None:
    file = sys.stderr if json_output else sys.stdout
    print_report(plan, file)
    print(f"the plan: {_plan(plan)}", file=file, flush=True)


def _plan(plan: DriftReport) -> str:
    kinds = plan.kinds
    return (
        f"insert {counted(kinds[DriftKind.MISSING], 'row')}, update {kinds[DriftKind.DIFFERS]:,}, delete "
        f"{kinds[DriftKind.UNEXPECTED]:,}; replace the parked events of "
        f"{counted(kinds[DriftKind.PARKED], 'delegation')}"
    )


def _destruction(plan: DriftReport) -> str:
    """What a person is asked for."""
    rows, events = plan.kinds[DriftKind.UNEXPECTED], plan.parked_deletions
    parts = [
        *([f"delete {rows:,} of the {counted(plan.totals.view_rows, 'row')} of the view"] if rows else []),
        *([f"delete {counted(events, 'parked event')}"] if events else []),
    ]
    if not parts:
        return f"overwrite {counted(plan.drift, 'row')}, of which {plan.source} may not have the whole history"
    return f"{' and '.join(parts)}, because {plan.source} does not have them"


def _written_json(result: Result) -> dict[str, object]:
    applied, remaining = result.applied, result.remaining
    written = applied and {**applied._asdict(), "run_id": str(applied.run_id)}
    return {"written": written, "still_differ": remaining and remaining.drift, "triggers": list(result.triggers)}


def _exit_code(result: Result) -> int:
    if result.remaining is not None and result.remaining.drift:
        return DRIFT
    return DONE if result.report.totals.compared or result.report.drift else NOTHING_FOUND


def _conclusion(result: Result, selected: str, *, dry_run: bool) -> str:
    report, applied = result.report, result.applied
    if dry_run and (report.drift or report.not_remembered):
        return f"{_plan(report)}; nothing was written, because of --dry-run"
    if applied is None and not report.totals.compared:
        return why_nothing_was_compared(report)
    if applied is None:
        return f"{selected} equals the source: nothing to write{not_proved(report)}"
    written = _written(applied)
    if result.remaining is None or not result.remaining.drift:
        return f"{selected} equals the source now: {written}{not_proved(report)}"
    return f"{selected} still differs from the source: {written}; {_still_differs(result, result.remaining)}"


def _written(applied: Applied) -> str:
    text = f"{counted(applied.inserted, 'row')} inserted, {applied.updated:,} updated, {applied.deleted:,} deleted"
    if applied.remembered:
        text += f", {counted(applied.remembered, 'repeated request')} remembered"
    if applied.kept:
        text += f" ({command('deleted', 'restore', '--run', applied.run_id)} puts back what was deleted)"
    return text


def _still_differs(result: Result, remaining: DriftReport) -> str:
    ids = ", ".join(escape(named(example.delegation_id)) for example in remaining.examples)
    columns = f" in {', '.join(remaining.columns)}" if remaining.columns else ""
    cause = (
        f"perhaps because of {', '.join(result.triggers)} on the table" if result.triggers else "look for other writers"
    )
    differ = "differs" if remaining.drift == 1 else "differ"
    return f"{counted(remaining.drift, 'delegation')} {differ} again{columns} ({ids}), {cause}"
