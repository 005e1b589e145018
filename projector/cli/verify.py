"""`projector verify`: whether the view equals its source."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from projector.cli.drift_report import not_proved, print_report, report_json, why_nothing_was_compared
from projector.cli.exit_codes import DONE, DRIFT, NOTHING_FOUND
from projector.cli.open_transactions import note_open_transactions
from projector.cli.passes import remember
from projector.cli.reconcile import TOPIC, compare
from projector.cli.terminal import wrap
from projector.rebuild.comparison import Options
from projector.rebuild.report import DriftReport
from projector.settings import Settings
from projector.texts import command, counted


def verify(settings: Settings, source: Sequence[str], sample: int | None, json_output: bool) -> int:
    """Compare, print the report, and return the exit code."""
    started_at = datetime.now(UTC)
    report = compare(settings, source, Options(sample=sample)).report
    result = {"source": source[0], "compared": report.totals.compared, "drift": report.drift, "sample": sample}
    remember(settings, "verify", started_at, result)
    if json_output:
        print(json.dumps(report_json(report)))
    else:
        print_report(report)
        print(wrap(_conclusion(report, source)))
    if list(source) == [TOPIC]:
        note_open_transactions(settings, "not compared")
    if report.drift:
        return DRIFT
    return DONE if report.totals.compared else NOTHING_FOUND


def _conclusion(report: DriftReport, source: Sequence[str]) -> str:
    if report.drift:
        repair = command("rebuild", *(() if list(source) == [TOPIC] else ("--from", *source)))
        return f"the view has drifted in {counted(report.drift, 'delegation')}: {repair} repairs it"
    if not report.totals.compared:
        return why_nothing_was_compared(report)
    return f"the view equals the source{not_proved(report)}"
