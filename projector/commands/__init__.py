"""The commands, one noun or act a file; each adds its own parser and returns its exit code."""

import argparse
from typing import Any

from projector.commands import (
    config,
    dead_letters,
    demo,
    explain,
    health,
    migrate,
    parked,
    rebuild,
    record,
    replay,
    run,
    status,
    verify,
)


def add(subparsers: Any, settings: argparse.ArgumentParser) -> None:
    """Add every command to the command line; `settings` are the flags that all of them take."""
    known = (run, migrate, status, verify, rebuild, explain, replay, record, dead_letters, parked, demo, config, health)
    for command in known:
        command.add(subparsers, settings)
