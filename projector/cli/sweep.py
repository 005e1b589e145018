"""`projector sweep`: one pass, or a pass per interval; and what the next pass would write."""

import json

from projector.cli.exit_codes import DONE, FAILED
from projector.cli.output import note, when
from projector.cli.terminal import table, wrap
from projector.domain.overdue import Rule, Verdict
from projector.errors import Misconfigured, TruthAway
from projector.settings import Settings
from projector.sweep import loop
from projector.sweep.one_pass import Mode
from projector.sweep.report import Report, Skipped
from projector.sweep.sweeper import Sweeper
from projector.texts import counted, duration, escape, named


def sweep(
    settings: Settings, once: bool, dry_run: bool, anyway: bool, sweep_sink: str | None, json_output: bool
) -> int:
    """Make one pass, or sweep until a signal. `sweep_sink` is in the settings too."""
    if anyway and not (once or dry_run):
        raise Misconfigured("--anyway is for one pass that a person has looked at: add --once or --dry-run")
    if not once and not dry_run:
        return loop.run(settings, _print_line if json_output else lambda report: None)
    report, code = _one_pass(settings, Mode(writes=not dry_run, anyway=anyway))
    if json_output:
        for sentence in report.sentences:
            note(sentence)
        print(json.dumps(report.as_json(dry_run=dry_run)))
    else:
        _print_report(report, dry_run=dry_run)
    return code


def _one_pass(settings: Settings, mode: Mode) -> tuple[Report, int]:
    with Sweeper(settings, mode) as sweeper:
        try:
            report, code = sweeper.sweep(), DONE
        except TruthAway as error:
            report, code = Report().skip(Skipped.TRUTH_AWAY, str(error)), FAILED
        for sentence in sweeper.notes:
            note(sentence)
    return report, code


def _print_line(report: Report) -> None:
    print(json.dumps(report.as_json()), flush=True)


# --- for people


def _print_report(report: Report, *, dry_run: bool) -> None:
    if dry_run:
        _print_unwritten(report)
    elif report.judged_at:
        print(wrap(str(report)))
    for row in report.future_rows:
        place = f"{escape(named(row.delegation_id))} ({row.caller_id} → {row.callee_id})"
        print(wrap(f"dated in the future, so only its deadline ends it: {place}, {when(row.updated_at)}"))
    if report.is_capped:
        print(
            wrap(
                "more deadlines may have passed than a pass writes (PROJECTOR_SWEEP_MAX_FAILED): the next one continues"
            )
        )
    for sentence in report.sentences:
        print(wrap(escape(sentence)))


def _print_unwritten(report: Report) -> None:
    if not report.unwritten:
        if report.judged_at:
            print(wrap(f"the next pass writes nothing ({counted(report.candidates, 'candidate')})"))
        return
    headings = ("delegation", "caller → callee", "silent for", "last sign (UTC)", "deadline (UTC)", "rule")
    print(table(headings, [_cells(each, report) for each in report.unwritten]))
    verdicts = counted(len(report.unwritten), "verdict")
    print(wrap(f"the next pass writes {verdicts}; nothing was written, because of --dry-run"))


def _cells(verdict: Verdict, report: Report) -> tuple[str, ...]:
    row = verdict.row
    silent = (report.judged_at - row.updated_at).total_seconds() if report.judged_at else 0.0
    rule = f"{verdict.rule}, failed" if verdict.rule is Rule.DEADLINE else f"{verdict.rule}, stuck"
    return (
        named(row.delegation_id),
        f"{row.caller_id} → {row.callee_id}",
        duration(max(silent, 0.0)),
        when(row.updated_at),
        when(row.deadline),
        rule,
    )
