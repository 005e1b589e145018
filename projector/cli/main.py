"""The command line: parse, build the parts, run, pick the exit code."""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from projector import logs
from projector.cli import (
    config,
    dead_letters,
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
from projector.errors import LogGap, Misconfigured, ProjectorError
from projector.settings import Settings, load, unknown_variables, variable

DONE, FAILED, MISCONFIGURED, LOG_GAP = 0, 1, 2, 4
"""Exit codes; 3 is drift, which `verify` will find."""

_COMMANDS = (run, migrate, status, verify, rebuild, explain, replay, record, dead_letters, parked, config, health)

log = logging.getLogger(__name__)

_ABOUT = """\
Projects activity events from Kafka into the Postgres table `delegations`: one row a delegation, exactly once.

Every setting is an environment variable PROJECTOR_… and a flag of the same name; `projector config` shows those in
force. Exit codes: 0 done, 1 failed, 2 misconfigured, 4 the log has a gap (the message names the remedy).
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. Errors are one sentence on standard error."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # process 1 of a container has none
    parsed = _parser().parse_args(arguments)
    flags = {name: value for name in Settings.model_fields if (value := getattr(parsed, name, None)) is not None}
    try:
        settings = load(flags)
        logs.configure(log_format=settings.log_format, log_level=settings.log_level)
        for name, similar in unknown_variables().items():
            log.warning("unknown setting %s (did you mean %s?)", name, similar)
        code: int = parsed.command(settings, parsed)
    except Misconfigured as error:
        return _failed(error, MISCONFIGURED)
    except LogGap as error:
        return _failed(error, LOG_GAP)
    except ProjectorError as error:
        return _failed(error, FAILED)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `projector … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code


def _failed(error: ProjectorError, code: int) -> int:
    sys.stderr.write(f"projector: {error}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "projector", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    settings = argparse.ArgumentParser(add_help=False)
    group = settings.add_argument_group("settings", "each also as an environment variable")
    for name, field in Settings.model_fields.items():
        group.add_argument(
            "--" + name.replace("_", "-"),
            metavar="…",
            help=f"{field.description} [{variable(name)}]".replace("%", "%%"),
        )
    subparsers: Any = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Command)
    for command in _COMMANDS:
        command.add(subparsers, settings)
    return parser


class _Usage(argparse.HelpFormatter):
    """Leaves the settings out of a command's usage, where thirty of them would hide its own arguments."""

    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        own = [action for action in actions if action.dest not in Settings.model_fields]
        super().add_usage(usage, own, groups, prefix)


class _Command(argparse.ArgumentParser):
    def __init__(self, **arguments: Any) -> None:
        super().__init__(**{"formatter_class": _Usage, **arguments})
