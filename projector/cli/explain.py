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
from projector.cli.open_transactions import note_open_transactions
from projector.cli.output import as_json, columns, escape, when
from projector.contract import fields
from projector.contract.unreadable import Unreadable
from projector.domain.lifecycle import Delegation
from projector.errors import Misconfigured
from projector.explain.report import Explanation, SearchedScope, from_recordings, from_topic
from projector.explain.scope import ScopeOptions
from projector.explain.timeline import Change, Entry
from projector.explain.verdict import Agreement, Repeated
from projector.kafka.reader import open_topic
from projector.postgres.connection import Connection, open_view
from projector.settings import Settings

_EXIT_CODES = {
    Agreement.DIFFERS: DRIFT,
    Agreement.MISSING: DRIFT,
    Agreement.DEAD_LETTER: DRIFT,
    Agreement.NOT_IN_LOG: DRIFT,
    Agreement.NOT_COVERED: NOTHING_FOUND,
    Agreement.NOT_FOUND: NOTHING_FOUND,
}
"""Of the other verdicts: DONE."""


def explain(
    settings: Settings,
    delegation: str,
    caller: str | None,
    recording: Sequence[Path],
    everywhere: bool,
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
    if json_output:
        print(json.dumps(_as_json(report)))
    else:
        print_report(report)
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


def _as_json(report: Explanation) -> dict[str, object]:
    return {
        "delegation_id": report.delegation_id,
        "verdict": report.verdict.kind,
        "sentence": report.verdict.sentence,
        "advice": report.verdict.advice,
        "differences": report.verdict.differences,
        "looked_at": _scope_as_json(report.scope),
        "records": [
            {**as_json(entry), "changes": {change.column: _values(change) for change in entry.changes}}
            for entry in report.entries
        ],
        "parked": [as_json(event) for event in report.parked],
        "dead_letters": [
            {name: value for name, value in as_json(letter).items() if name not in ("key", "value")}
            for letter in report.dead_letters
        ],
        "repeated_request": _repeated_as_json(report.repeated),
        "folded": report.folded and as_json(report.folded),
        "stored": report.stored and as_json(report.stored),
    }


def _scope_as_json(scope: SearchedScope) -> dict[str, object]:
    ranges = [
        {"partition": partition, "from": log_range.beginning, "to": log_range.end}
        for partition, log_range in scope.ranges.items()
    ]
    return {**scope._asdict(), "ranges": ranges}


def _repeated_as_json(repeated: Repeated | None) -> dict[str, object] | None:
    return repeated and {**as_json(repeated), "place": repeated.place and repeated.place._asdict()}


def _values(change: Change) -> list[object]:
    return [value.isoformat() if isinstance(value, datetime) else value for value in (change.before, change.after)]


# --- for people

_MAX_WIDTH = 48
_SHOWN_BEFORE_DIFFERENCE = 16
_SHOWN_COLUMNS = {"status", "last_heartbeat", "result_preview", "error_detail"}
"""The columns that the line of a record shows: those that events change, without their times."""
_NO_ROW = "(no row)"


def print_report(report: Explanation) -> None:
    """Print the verdict and the advice, where was searched, the records, parked events, dead letters, and both rows."""
    print(escape(report.verdict.sentence))
    if report.verdict.advice:
        print(escape(report.verdict.advice))
    print()
    for reason in report.scope.widened:
        print(f"search widened: {reason}")
    print(_searched(report.scope))
    _print_entries(report)
    _print_parked(report)
    _print_dead_letters(report)
    if report.folded or report.stored:
        print(f"\n{columns(('', 'column', 'from the records', 'in the view'), _rows(report))}")


def _print_entries(report: Explanation) -> None:
    if not report.entries:
        print("\nno record is about it")
        return
    rows = [
        (
            f"{entry.partition} {entry.offset}",
            when(entry.recorded_at),
            entry.envelope or "",
            entry.said,
            _outcome(entry),
        )
        for entry in report.entries
    ]
    print(f"\n{columns(('partition offset', 'recorded (UTC)', 'envelope', 'event', 'outcome'), rows)}")
    if len({(entry.topic, entry.partition) for entry in report.entries}) > 1 and not report.scope.files:
        print("between partitions there is no order: these records are sorted by their timestamps")


def _outcome(entry: Entry) -> str:
    """The outcome, its meaning, what a verdict rests on, and the effect on the row, on one line."""
    changes = ", ".join(
        _changed(change) for change in entry.changes if change.column in _SHOWN_COLUMNS and change.after is not None
    )
    pending = "" if entry.is_projected else "not projected yet, then "
    parts = [f"{pending}{entry.outcome}: {entry.sentence}", entry.rests_on, changes]
    return "; ".join(part for part in parts if part)


def _changed(change: Change) -> str:
    before = "" if change.before is None else f"{_cut(_text(change.before))} → "
    return f"{change.column} {before}{_cut(_text(change.after))}"


def _print_parked(report: Explanation) -> None:
    for event in report.parked:
        evidence = f" (a verdict; silent since {when(event.silent_since)})" if event.kind == "verdict" else ""
        print(
            f"\nparked since {when(event.parked_at)}: {event.status or event.kind}{evidence}, "
            f"from {escape(event.topic)} partition {event.partition} offset {event.offset}"
        )


def _print_dead_letters(report: Explanation) -> None:
    for letter in report.dead_letters:
        print(
            f"\ndead letter at {escape(letter.topic)} partition {letter.partition} offset {letter.offset}, never "
            f"projected: {escape(letter.reason)}"
        )


def _rows(report: Explanation) -> list[tuple[str, str, str, str]]:
    rows = []
    for column in Delegation._fields:
        folded, stored = (getattr(row, column) if row else _NO_ROW for row in (report.folded, report.stored))
        mark = "differs" if column in report.verdict.differences else ""
        rows.append((mark, column, *_pair(_text(folded), _text(stored))))
    return rows


def _pair(one: str, other: str) -> tuple[str, str]:
    """Two values of a column. Long values that differ are cut to the first difference."""
    if one == other or max(len(one), len(other)) <= _MAX_WIDTH:
        return _cut(one), _cut(other)
    same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = max(0, same - _SHOWN_BEFORE_DIFFERENCE)
    return _cut(one, start), _cut(other, start)


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else "" if value is None else str(value)


def _cut(text: str, start: int = 0) -> str:
    end = start + _MAX_WIDTH
    return ("…" if start else "") + text[start:end] + ("…" if len(text) > end else "")


def _searched(scope: SearchedScope) -> str:
    if scope.files:
        return f"searched {', '.join(map(escape, scope.files))}: {scope.records:,} records"
    ranges = [
        f"partition {partition}, offsets {log_range.beginning:,} to {log_range.end - 1:,}"
        for partition, log_range in scope.ranges.items()
        if log_range.end > log_range.beginning
    ]
    count = "all" if len(scope.ranges) == scope.partitions else str(len(scope.ranges))
    if not ranges:
        return f"searched {count} of {scope.partitions} partitions, which hold no records"
    return f"searched {'; '.join(ranges)}; {count} of {scope.partitions} partitions, {scope.records:,} records"
