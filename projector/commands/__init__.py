"""The commands, one noun or act a file; each adds its own parser and returns its exit code."""

import argparse
from typing import Any

from projector.commands import config, dead_letters, demo, explain, health, migrate, parked, record, replay, run, status


def add(subparsers: Any, settings: argparse.ArgumentParser) -> None:
    """Add every command to the command line; `settings` are the flags that all of them take."""
    for command in (run, migrate, replay, record, status, dead_letters, parked, explain, demo, config, health):
        command.add(subparsers, settings)
