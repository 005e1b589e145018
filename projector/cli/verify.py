"""`projector verify`: whether the view is what the log says."""

import argparse
import json
import shlex
from typing import Any

from projector.cli.reconcile import TOPIC, add_source, compare, print_report, report_json
from projector.rebuild.comparison import Options
from projector.rebuild.drift import DriftReport
from projector.settings import Settings

EQUAL, DRIFT = 0, 3


def add(subparsers: Any, settings: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "verify",
        parents=[settings],
        help="prove the view against the log; exits with 0 if they are equal, with 3 if they are not",
        description="Folds the log anew, beside the view and while the projector goes on, and compares the two at one "
        "position. Exits with 0 if they are equal, with 3 if the view has drifted; changes nothing in the view.",
    )
    add_source(parser)
    parser.add_argument("--sample", metavar="N", type=_count, help="look at about N delegations instead of all")
    parser.set_defaults(command=verify)


def verify(settings: Settings, arguments: argparse.Namespace) -> int:
    """Compare, tell, and pick the exit code."""
    report = compare(settings, arguments, Options(sample=arguments.sample)).report
    if arguments.json:
        print(json.dumps(report_json(report)))
    else:
        print_report(report)
        print(_conclusion(report, arguments.source))
    return DRIFT if report.drift else EQUAL


def _conclusion(report: DriftReport, source: list[str]) -> str:
    if report.drift:
        chosen = "" if source == [TOPIC] else " --from " + shlex.join(source)
        return f"the view has drifted in {report.drift:,} delegations: `projector rebuild{chosen}` mends them"
    if report.empty:
        return "there is nothing to compare with: the source is empty"
    if report.not_covered:
        return "the view equals the source, in all that the source covers"
    return "the view equals the source"


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 19 and int(text)):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on: found {text!r}")
    return int(text)
