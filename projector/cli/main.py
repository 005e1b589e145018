"""The entry of the command line: runs one command, and turns its errors into a sentence and an exit code."""

import os
import signal
import sys
from collections.abc import Sequence

import click

from projector.cli.commands import PROJECTOR
from projector.cli.exit_codes import FAILED, INTERRUPTED, LOG_GAP, MISCONFIGURED, NOTHING_FOUND
from projector.errors import LogGap, Misconfigured, NothingFound, ProjectorError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. An error is one sentence on standard error."""
    _open_missing_streams()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # process 1 of a container has none
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except click.UsageError as error:
        return _usage_error(error)
    except ProjectorError as error:
        return _failed(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `projector … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _open_missing_streams() -> None:
    """Replace the standard streams that the caller closed (`<&-`), so that no connection gets their descriptors."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  # until the end


def _run(arguments: list[str]) -> int:
    """Run without `click.Command.main`, which prints errors in its own words and exits."""
    try:
        with PROJECTOR.make_context("projector", arguments) as ctx:
            code: int = PROJECTOR.invoke(ctx)
            return code
    except click.exceptions.Exit as ended:  # --help, --version
        return ended.exit_code


def _usage_error(error: click.UsageError) -> int:
    command = error.ctx.command_path if error.ctx else "projector"
    sys.stderr.write(f"{command}: error: {error.format_message().rstrip('.')} (see `{command} --help`)\n")
    return MISCONFIGURED


def _failed(error: ProjectorError) -> int:
    sys.stderr.write(f"projector: {error}\n")
    if isinstance(error, Misconfigured):
        return MISCONFIGURED
    if isinstance(error, NothingFound):
        return NOTHING_FOUND
    return LOG_GAP if isinstance(error, LogGap) else FAILED
