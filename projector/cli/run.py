"""`projector run`: one member of the consumer group, or several of them on one machine."""

import argparse
from typing import Any

from projector.settings import Settings
from projector.worker.loop import Worker
from projector.worker.supervisor import member_file, run_members


def add(subparsers: Any, settings: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "run",
        parents=[settings],
        help="project the topic into the view until told to stop",
        description="Joins the consumer group and projects what arrives, each record exactly once. Run as many as the "
        "topic has partitions. SIGTERM finishes the batch in hand, leaves the group and exits with 0.",
    )
    parser.add_argument(
        "--members",
        metavar="N",
        type=_at_least_one,
        default=1,
        help="so many members, each a process, under one parent: for a machine with several cores",
    )
    parser.set_defaults(command=run)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Run a member, or several, until told to stop."""
    if arguments.members == 1:
        return _run_one(settings)
    return run_members(arguments.members, lambda number: _run_one(_of(settings, number)), settings.health_file)


def _run_one(settings: Settings) -> int:
    Worker(settings).run()
    return 0


def _of(settings: Settings, number: int) -> Settings:
    """One member's settings: a report of its own, and a name of its own where members have names."""
    own: dict[str, object] = {}
    if settings.health_file:
        own["health_file"] = member_file(settings.health_file, number)
    if settings.group_instance_id:
        own["group_instance_id"] = f"{settings.group_instance_id}-{number}"
    return settings.model_copy(update=own)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, found {text}")
    return int(text)
