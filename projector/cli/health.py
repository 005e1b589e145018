"""`projector health`: whether the projector on this machine is well, for a container's health check."""

import argparse
from typing import Any

from projector.settings import Settings
from projector.worker.health import check


def add(subparsers: Any, settings: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "health",
        parents=[settings],
        help="whether the running projector is well (reads PROJECTOR_HEALTH_FILE)",
        description="Exits with 0 where the `projector run` that writes PROJECTOR_HEALTH_FILE reported within the last "
        "30 seconds that Kafka and Postgres are there, else with 1 and the reason.",
    )
    parser.set_defaults(command=health)


def health(settings: Settings, _: argparse.Namespace) -> int:
    """Print the state last reported."""
    print(check(settings.health_file))
    return 0
