"""Runs one command, and turns its errors into a sentence and an exit code."""

import os
import sys
from collections.abc import Callable

import click

from projector.cli.commands import PROJECTOR
from projector.cli.exit_codes import FAILED, LOG_GAP, MISCONFIGURED, NOTHING_FOUND
from projector.errors import LogGap, LoginRefused, Misconfigured, NothingFound, ProjectorError, TopicMissing
from projector.process import streams
from projector.process.interruption import Interrupted
from projector.texts import escape


def run(arguments: list[str] | None) -> int:
    """Run one command and return its exit code."""
    streams.take_over()
    if "_PROJECTOR_COMPLETE" in os.environ:
        from projector.cli.completion import answer

        return answer(PROJECTOR)
    code = _code_of(lambda: _run(sys.argv[1:] if arguments is None else arguments))
    if reason := streams.lost_output():
        _print_error(f"standard output cannot be written: {reason}")
        return code or FAILED
    return code


def _code_of(command: Callable[[], int]) -> int:
    try:
        return command()
    except click.UsageError as error:
        return _usage_error(error)
    except ProjectorError as error:
        return _failed(error)
    except Interrupted as error:
        if sys.stderr.isatty():
            sys.stderr.write("\n")  # the terminal has printed ^C
        _print_error(str(error))
        return error.code


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
    sentence = escape(_message(error).rstrip("."), keep="\n")
    sys.stderr.write(f"{command}: error: {sentence} (see `{command} --help`)\n")
    return MISCONFIGURED


def _message(error: click.UsageError) -> str:
    """As click says it; to the beginning of an option's name, of which click knows nothing near, the whole names."""
    if isinstance(error, click.NoSuchOption) and error.ctx:
        names = (name for param in error.ctx.command.get_params(error.ctx) for name in param.opts)
        if longer := [repr(name) for name in names if name.startswith(error.option_name)]:
            return f"{error.message} Did you mean {' or '.join(longer)}?"
    return error.format_message()


def _failed(error: ProjectorError) -> int:
    _print_error(str(error))
    if isinstance(error, Misconfigured | LoginRefused | TopicMissing):
        return MISCONFIGURED
    if isinstance(error, NothingFound):
        return NOTHING_FOUND
    return LOG_GAP if isinstance(error, LogGap) else FAILED


def _print_error(sentence: str) -> None:
    shown = escape(sentence, keep="\n")
    sys.stderr.write(f"projector: {shown}\n")
