"""`projector demo`: the whole of it, on a real Kafka and a real Postgres, with a kill in the middle."""

import argparse
from typing import Any

from rich.console import Console

from projector.errors import Misconfigured, ProjectorError
from projector.settings import Settings


def add(subparsers: Any, _: argparse.ArgumentParser) -> None:
    """Add the command; it takes no settings, since it must never reach anybody's own database."""
    parser = subparsers.add_parser(
        "demo",
        help="see it work: a simulated platform, a projector killed half-way, and a judge",
        description="Starts a real Kafka and a real Postgres, plays a platform, kills the projector half-way, starts "
        "it again, and compares the view with what independent code makes of the log. Exits with 0 where the view "
        "equals the log, and with 1 where it does not. Needs the extra `demo`, and Docker or Java 17 with Maven.",
    )
    parser.add_argument("--delegations", metavar="N", type=_positive, default=3000, help="how many (3000)")
    parser.add_argument("--seed", metavar="N", type=int, default=7, help="of the platform's random numbers (7)")
    parser.add_argument("--keep", action="store_true", help="leave all running, and say where it is and how to end it")
    parser.set_defaults(command=demo)


def demo(_: Settings, arguments: argparse.Namespace) -> int:
    """Play the demo."""
    from projector.demo import story  # here, so that what runs in production never loads it

    plan = story.Plan(arguments.delegations, arguments.seed, arguments.keep)
    try:
        return 0 if story.play(plan, Console()) else 1
    except story.NoParts as error:
        raise Misconfigured(str(error)) from error
    except story.Failed as error:
        raise ProjectorError(str(error)) from error


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected at least 1")
    return number
