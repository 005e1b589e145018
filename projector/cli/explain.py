"""`projector explain`: what the log says of one delegation, what that did to its row, and whether the row agrees."""

import argparse
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TextColumn

from projector.cli.output import as_json, columns, escape, when
from projector.contract import fields
from projector.contract.unreadable import Unreadable
from projector.domain.lifecycle import Delegation
from projector.errors import ProjectorError
from projector.explain.report import Explanation, SearchedScope, from_recordings, from_topic
from projector.explain.scope import ScopeOptions
from projector.explain.timeline import Change, Entry
from projector.kafka.reader import open_topic
from projector.postgres.connection import Connection, open_view
from projector.settings import Settings

_ABOUT = """\
Shows every record of the log about one delegation, what each did to the row, and if nothing, why not; what is parked
for it, and the dead letters that mention it; then the row as the log makes it beside the row as it is stored, and in
one sentence whether they agree. It changes nothing and joins no group. A caller who is known, from the row or from
--caller, makes it fast: it then reads one partition first, and the rest only where that does not suffice.
"""


def add(subparsers: Any, settings: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "explain",
        parents=[settings],
        help="what the log says of one delegation, and whether its row agrees",
        description=_ABOUT,
    )
    parser.add_argument("delegation", metavar="ID", type=_id, help="the delegation's id")
    parser.add_argument("--caller", metavar="UUID", type=_uuid, help="who asked, where there is no row to tell it")
    parser.add_argument(
        "--recording", metavar="FILE", nargs="+", type=Path, help="read these recordings instead of the topic"
    )
    parser.add_argument(
        "--everywhere", action="store_true", help="read the whole log, whatever the caller's key and the times say"
    )
    parser.add_argument("--json", action="store_true", help="print one object of JSON instead")
    parser.set_defaults(command=explain)


def _id(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("no delegation has an empty id")
    return text


def _uuid(text: str) -> str:
    try:
        return fields.required(fields.uuid(text, "--caller"), "--caller")
    except Unreadable as error:
        raise argparse.ArgumentTypeError(error.reason) from error


def explain(settings: Settings, arguments: argparse.Namespace) -> int:
    """Ask Postgres and the log, and print what they know."""
    with open_view(settings) as conn:
        report = _ask(conn, settings, arguments)
    if not report.is_known:
        raise ProjectorError(f"nobody knows delegation {escape(report.delegation_id)}: {nowhere(report.scope)}")
    if arguments.json:
        print(json.dumps(_as_json(report)))
    else:
        print_report(report)
    return 0


def _ask(conn: Connection, settings: Settings, arguments: argparse.Namespace) -> Explanation:
    text = TextColumn("{task.description} {task.fields[records]:,} records")
    with Progress(text, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("looked at", records=0)

        def tell(records: int) -> None:
            progress.update(task, records=records)

        if arguments.recording:
            return from_recordings(conn, settings.topic, arguments.delegation, arguments.recording, tell)
        with open_topic(settings) as topic:
            where = ScopeOptions(arguments.caller, arguments.everywhere)
            return from_topic(conn, topic, arguments.delegation, where, tell)


# --- for machines


def _as_json(report: Explanation) -> dict[str, object]:
    return {
        "delegation_id": report.delegation_id,
        "looked_at": _looked_as_json(report.scope),
        "records": [
            {**as_json(each), "changes": {change.column: _two(change) for change in each.changes}}
            for each in report.entries
        ],
        "parked": [as_json(each) for each in report.parked],
        "dead_letters": [
            {name: value for name, value in as_json(each).items() if name != "value"} for each in report.dead_letters
        ],
        "folded": report.folded and as_json(report.folded),
        "stored": report.stored and as_json(report.stored),
        "verdict": as_json(report.verdict),
    }


def _looked_as_json(looked: SearchedScope) -> dict[str, object]:
    ranges = [{"partition": each, "from": span.beginning, "to": span.end} for each, span in looked.ranges.items()]
    return {**looked._asdict(), "ranges": ranges}


def _two(change: Change) -> list[object]:
    return [each.isoformat() if isinstance(each, datetime) else each for each in (change.before, change.after)]


# --- for people

_WIDE, _AROUND = 48, 16
_TOLD = {"status", "last_heartbeat", "result_preview", "error_detail"}
"""The columns that a record's line tells of: those that events move, their times aside."""


def print_report(report: Explanation) -> None:
    """The story, what is kept of it, both rows, and the verdict."""
    print(f"delegation {escape(report.delegation_id)}")
    for why in report.scope.widened:
        print(f"looked further than at first: {why}")
    print(_place(report.scope))
    _print_entries(report)
    _print_waiting(report)
    if report.folded or report.stored:
        print(f"\n{columns(('', 'column', 'as the log makes it', 'as it is stored'), _rows(report))}")
    if report.verdict.differences and len(report.scope.ranges) < report.scope.partitions:
        print("\nthe other partitions were not looked at: --everywhere does")
    print(f"\n{escape(report.verdict.sentence)}")


def _print_entries(report: Explanation) -> None:
    if not report.entries:
        print("\nno record is about it")
        return
    rows = [
        (f"{each.partition} {each.offset}", when(each.recorded_at), each.envelope or "", each.said, _ended(each))
        for each in report.entries
    ]
    print(f"\n{columns(('partition offset', 'recorded (UTC)', 'envelope', 'said', 'outcome'), rows)}")
    if len({(each.topic, each.partition) for each in report.entries}) > 1 and not report.scope.files:
        print("between partitions there is no order: these are by the records' timestamps")


def _ended(entry: Entry) -> str:
    """The outcome, what it means, and what it did to the row, on one line."""
    changes = ", ".join(
        _moved(change) for change in entry.changes if change.column in _TOLD and change.after is not None
    )
    waits = "" if entry.is_projected else "not projected yet, and then "
    return f"{waits}{entry.outcome}: {entry.sentence}" + (f"; {changes}" if changes else "")


def _moved(change: Change) -> str:
    before = "" if change.before is None else f"{_shown(change.before)} → "
    return f"{change.column} {before}{_shown(change.after)}"


def _print_waiting(report: Explanation) -> None:
    for each in report.parked:
        print(
            f"\nparked since {when(each.parked_at)}: {each.status or each.kind}, "
            f"from {escape(each.topic)} partition {each.partition} offset {each.offset}"
        )
    for letter in report.dead_letters:
        print(
            f"\ndead letter at {escape(letter.topic)} partition {letter.partition} offset {letter.offset}, never "
            f"projected: {escape(letter.reason)}\n  `projector dead-letters retry --topic {escape(letter.topic)} "
            f"{letter.partition} {letter.offset}` once the cause is mended"
        )


def _rows(report: Explanation) -> list[tuple[str, str, str, str]]:
    rows = []
    for column in Delegation._fields:
        folded, stored = _pair(*(getattr(row, column) if row else _NO_ROW for row in (report.folded, report.stored)))
        rows.append(("differs" if column in report.verdict.differences else "", column, folded, stored))
    return rows


_NO_ROW = "(no row)"


def _pair(folded: object, stored: object) -> tuple[str, str]:
    """Two values of a column, cut to where they differ if they are long."""
    one, other = _whole(folded), _whole(stored)
    start = 0
    if max(len(one), len(other)) > _WIDE:
        same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
        start = max(0, same - _AROUND) if one != other else 0
    return _cut(one, start), _cut(other, start)


def _shown(value: object) -> str:
    return _cut(_whole(value), 0)


def _whole(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else "" if value is None else str(value)


def _cut(text: str, start: int) -> str:
    end = start + _WIDE
    return ("…" if start else "") + text[start:end] + ("…" if len(text) > end else "")


def _place(looked: SearchedScope) -> str:
    if looked.files:
        return f"looked at {', '.join(map(escape, looked.files))}: {looked.records:,} records"
    places = [
        f"partition {each}, offsets {span.beginning:,} to {span.end - 1:,}"
        for each, span in looked.ranges.items()
        if span.end > span.beginning
    ]
    everywhere = "all" if len(looked.ranges) == looked.partitions else f"{len(looked.ranges)}"
    if not places:
        return f"looked at {everywhere} of {looked.partitions} partitions, which hold no records"
    return f"looked at {'; '.join(places)}; {everywhere} of {looked.partitions} partitions, {looked.records:,} records"


def nowhere(looked: SearchedScope) -> str:
    """Where a delegation that nobody knows was looked for."""
    further = "".join(f"; {why}" for why in looked.widened)
    return f"there is no row, nothing is parked, no dead letter mentions it; {_place(looked)}{further}"
