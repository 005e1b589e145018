"""`projector explain`: what the log says of one delegation, what that did to its row, and whether the row agrees."""

import argparse
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TextColumn

from events import fields
from events.unreadable import Unreadable
from projector import migrations
from projector.commands.explained import nowhere, print_report
from projector.commands.printing import plain, visible
from projector.commands.run import source_settings, time_outs
from projector.errors import ProjectorError
from projector.explain import Looked, Report, from_recordings, from_topic
from projector.explanation import Change
from projector.session import Connection, connect
from projector.settings import Settings
from projector.topic import open_topic
from projector.whereabouts import Where

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
    with connect(settings.database_url.get_secret_value(), time_outs=time_outs(settings)) as conn:
        migrations.require_current(conn)
        report = _ask(conn, settings, arguments)
    if not report.is_known:
        raise ProjectorError(f"nobody knows delegation {visible(report.delegation_id)}: {nowhere(report.looked)}")
    if arguments.json:
        print(json.dumps(_as_json(report)))
    else:
        print_report(report)
    return 0


def _ask(conn: Connection, settings: Settings, arguments: argparse.Namespace) -> Report:
    text = TextColumn("{task.description} {task.fields[records]:,} records")
    with Progress(text, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("looked at", records=0)

        def tell(records: int) -> None:
            progress.update(task, records=records)

        if arguments.recording:
            return from_recordings(conn, settings.topic, arguments.delegation, arguments.recording, tell)
        with open_topic(source_settings(settings)) as topic:
            where = Where(arguments.caller, arguments.everywhere)
            return from_topic(conn, topic, arguments.delegation, where, tell)


# --- for machines


def _as_json(report: Report) -> dict[str, object]:
    return {
        "delegation_id": report.delegation_id,
        "looked_at": _looked_as_json(report.looked),
        "records": [
            {**plain(each), "changes": {change.column: _two(change) for change in each.changes}}
            for each in report.entries
        ],
        "parked": [plain(each) for each in report.parked],
        "dead_letters": [
            {name: value for name, value in plain(each).items() if name != "value"} for each in report.dead_letters
        ],
        "folded": report.folded and plain(report.folded),
        "stored": report.stored and plain(report.stored),
        "verdict": plain(report.verdict),
    }


def _looked_as_json(looked: Looked) -> dict[str, object]:
    ranges = [{"partition": each, "from": span.beginning, "to": span.end} for each, span in looked.ranges.items()]
    return {**looked._asdict(), "ranges": ranges}


def _two(change: Change) -> list[object]:
    return [each.isoformat() if isinstance(each, datetime) else each for each in (change.before, change.after)]
