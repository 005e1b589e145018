"""`projector explain`: the records of one delegation, their effect on its row, and whether the row agrees."""

import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TextColumn

from projector.cli.exit_codes import DONE, DRIFT, NOTHING_FOUND
from projector.cli.explain_output import Options, print_report
from projector.cli.open_transactions import note_open_transactions
from projector.cli.output import as_json, note
from projector.contract import fields
from projector.contract.unreadable import Unreadable
from projector.domain.lifecycle import Delegation
from projector.errors import Misconfigured
from projector.explain.findings import Repeated
from projector.explain.report import Explanation, SearchedScope, from_recordings, from_topic
from projector.explain.scope import ScopeOptions
from projector.explain.similar import Similar, find_similar
from projector.explain.timeline import Change
from projector.explain.verdict import Agreement
from projector.kafka.reader import open_topic
from projector.postgres.connection import Connection, open_view
from projector.settings import Settings
from projector.texts import escape, named

_EXIT_CODES = {
    Agreement.DIFFERS: DRIFT,
    Agreement.MISSING: DRIFT,
    Agreement.DEAD_LETTER: DRIFT,
    Agreement.NOT_IN_LOG: DRIFT,
    Agreement.NOT_COVERED: NOTHING_FOUND,
    Agreement.NOT_FOUND: NOTHING_FOUND,
}
"""Of the other verdicts: DONE."""


_UNKNOWN = (Agreement.NOT_FOUND, Agreement.NOT_REQUESTED)
_CUT = 200
"""Characters of a text in JSON, without --full."""


def explain(
    settings: Settings,
    delegation: str,
    caller: str | None,
    recording: Sequence[Path],
    everywhere: bool,
    full: bool,
    verbose: bool,
    legend: bool,
    json_output: bool,
) -> int:
    """Read Postgres and the records, and print the report. The verdict decides the exit code."""
    if not delegation:
        raise Misconfigured("the ID is empty, and no delegation has an empty id")
    if delegation != delegation.encode(errors="ignore").decode():
        raise Misconfigured(f"the ID {escape(delegation)} is not UTF-8, and no delegation has such an id")
    options = ScopeOptions(None if caller is None else _uuid(caller), everywhere)
    with open_view(settings) as conn:
        report = _explain(conn, settings, delegation, options, recording)
        similar = find_similar(conn, delegation) if report.verdict.kind in _UNKNOWN else Similar(None, [])
        if similar.meant and report.verdict.kind is Agreement.NOT_FOUND:
            note(f"no delegation has the id {named(delegation)}: this is {named(similar.meant)}, which begins with it")
            report, similar = _explain(conn, settings, similar.meant, options, recording), Similar(None, [])
    if json_output:
        print(json.dumps({"asked_id": delegation, **_as_json(report, full), "similar_ids": similar.ids}))
    else:
        print_report(report, similar, Options(full, verbose, legend))
    if not recording:
        note_open_transactions(settings, "not searched")
    return _EXIT_CODES.get(report.verdict.kind, DONE)


def _uuid(text: str) -> str:
    try:
        return fields.required(fields.uuid(text, "--caller"), "--caller")
    except Unreadable as error:
        raise Misconfigured(error.reason) from None


def _explain(
    conn: Connection, settings: Settings, delegation: str, options: ScopeOptions, recordings: Sequence[Path]
) -> Explanation:
    text = TextColumn("{task.description} {task.fields[records]:,} records")
    with Progress(text, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("searched", records=0)

        def advance(records: int) -> None:
            progress.update(task, records=records)

        if recordings:
            return from_recordings(conn, settings.topic, delegation, recordings, advance)
        with open_topic(settings) as topic:
            return from_topic(lambda: nullcontext(conn), topic, delegation, options, advance)


# --- for machines


def _as_json(report: Explanation, full: bool) -> dict[str, object]:
    return {
        "delegation_id": report.delegation_id,
        "verdict": report.verdict.kind,
        "sentence": report.verdict.sentence,
        "advice": report.verdict.advice,
        "differences": report.verdict.differences,
        "looked_at": _scope_as_json(report.scope),
        "records": [
            {**as_json(entry), "changes": {change.column: _values(change, full) for change in entry.changes}}
            for entry in report.entries
        ],
        "parked": [as_json(event) for event in report.parked],
        "dead_letters": [
            {name: value for name, value in as_json(letter).items() if name not in ("key", "value")}
            for letter in report.dead_letters
        ],
        "repeated_request": _repeated_as_json(report.repeated),
        "folded": report.folded and _row_as_json(report.folded, full),
        "stored": report.stored and _row_as_json(report.stored, full),
    }


def _scope_as_json(scope: SearchedScope) -> dict[str, object]:
    ranges = [
        {"partition": partition, "from": log_range.beginning, "to": log_range.end}
        for partition, log_range in scope.ranges.items()
    ]
    return {**scope._asdict(), "ranges": ranges}


def _repeated_as_json(repeated: Repeated | None) -> dict[str, object] | None:
    return repeated and {**as_json(repeated), "place": repeated.place and repeated.place._asdict()}


def _row_as_json(row: Delegation, full: bool) -> dict[str, object]:
    return {column: _cut(value, full) for column, value in as_json(row).items()}


def _values(change: Change, full: bool) -> list[object]:
    values = (change.before, change.after)
    return [value.isoformat() if isinstance(value, datetime) else _cut(value, full) for value in values]


def _cut(value: object, full: bool) -> object:
    return value if full or not isinstance(value, str) or len(value) <= _CUT else f"{value[:_CUT]}…"
