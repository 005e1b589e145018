"""Completion in a shell: the script of `projector completion`, and the answers to it."""

import os

import click
from click.shell_completion import shell_complete

from projector.cli.exit_codes import DONE

VARIABLE = "_PROJECTOR_COMPLETE"
"""The script sets it, and calls `projector`."""


def script(shell: str) -> int:
    """Print the script for a shell."""
    return _instruct(click.get_current_context().find_root().command, f"{shell}_source")


def answer(command: click.Command) -> int:
    """Print what may stand at the cursor."""
    return _instruct(command, os.environ[VARIABLE])


def _instruct(command: click.Command, instruction: str) -> int:
    return shell_complete(command, {}, "projector", VARIABLE, instruction) or DONE
