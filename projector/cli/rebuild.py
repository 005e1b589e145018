"""`projector rebuild`: makes the view what the log says, while it is used."""

import argparse
import json
import sys
from typing import Any

from projector.cli.reconcile import add_source, compare, print_report, report_json
from projector.errors import Misconfigured
from projector.ledger.validation import identifier
from projector.rebuild.comparison import Options
from projector.rebuild.reconcile import Result
from projector.settings import Settings


def add(subparsers: Any, settings: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "rebuild",
        parents=[settings],
        help="fold the log anew and write what of the view differs, while the projector goes on",
        description="Folds the log anew beside the view, then writes the rows that differ, and no others, in one "
        "transaction. The projector goes on meanwhile. Rows that are older than what the source holds stay as they "
        "are. Killed, it goes on where it was when it is run again.",
    )
    add_source(parser)
    parser.add_argument("--dry-run", action="store_true", help="tell what would be written, and write nothing")
    parser.add_argument("--only", metavar="ID", nargs="+", default=[], help="write these delegations alone")
    parser.add_argument(
        "--drop-uncovered",
        action="store_true",
        help="also delete rows whose history the source no longer holds; they cannot be brought back",
    )
    parser.add_argument(
        "--yes", action="store_true", help="do not ask before --drop-uncovered, nor before much of the view is deleted"
    )
    parser.set_defaults(command=rebuild)


def rebuild(settings: Settings, arguments: argparse.Namespace) -> int:
    """Rebuild, and tell what was written."""
    options = Options(
        repair=not arguments.dry_run,
        confirmed=arguments.yes,
        only=frozenset(map(_id, arguments.only)),
        drop_uncovered=arguments.drop_uncovered,
    )
    if options.repair and options.drop_uncovered and not arguments.yes:
        _ask()
    done = compare(settings, arguments, options)
    if arguments.json:
        print(json.dumps({**report_json(done.report), "written": done.applied and done.applied._asdict()}))
    else:
        print_report(done.report)
        print(_conclusion(done, "what was named" if options.only else "the view"))
    return 0


def _id(text: str) -> str:
    """An id as the rules of events read it."""
    try:
        return identifier(text)
    except ValueError as error:
        raise Misconfigured(f"--only: {error}") from None


def _ask() -> None:
    if not sys.stdin.isatty():
        raise Misconfigured("--drop-uncovered deletes what the source cannot give back: say --yes if you mean it")
    sys.stderr.write("Rows whose history the source no longer holds are deleted for good. Type yes to go on: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != "yes":
        raise Misconfigured("nothing was done")


def _conclusion(done: Result, meant: str) -> str:
    report = done.report
    if report.empty:
        return "there is nothing to rebuild from: the source is empty"
    if not report.drift:
        return f"{meant} equals the source: nothing to write"
    if done.applied is None:
        return f"{report.drift:,} delegations would be written; nothing was, this was a dry run"
    inserted, updated, deleted = done.applied
    return f"{meant} equals the source now: {inserted:,} rows inserted, {updated:,} updated, {deleted:,} deleted"
