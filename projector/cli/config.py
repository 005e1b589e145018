"""`projector config`: the settings in force."""

import argparse
from typing import Any

from projector.settings import Settings, shown


def add(subparsers: Any, settings: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "config",
        parents=[settings],
        help="show the settings in force, secrets masked",
        description="Shows each setting as its environment variable with the value in force; secrets are masked.",
    )
    parser.set_defaults(command=config)


def config(settings: Settings, _: argparse.Namespace) -> int:
    """Print the settings."""
    for name, value in shown(settings).items():
        print(f"{name}={value}")
    return 0
