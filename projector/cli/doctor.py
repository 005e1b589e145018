"""`projector doctor`: what must be changed, one line per check."""

import json
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from projector.cli.exit_codes import DONE, MISCONFIGURED
from projector.doctor.checks import Check, Level
from projector.doctor.report import examine
from projector.settings import Settings
from projector.texts import counted, escape

_WIDTH = 80


def doctor(settings: Settings, json_output: bool) -> int:
    """Make the checks and print them. The exit code is 2 if something must be changed."""
    at = datetime.now(UTC)
    checks = examine(settings)
    if json_output:
        print(json.dumps(_as_json(at, checks)))
    else:
        print(_as_text(checks))
    return MISCONFIGURED if any(check.level is Level.CHANGE for check in checks) else DONE


def _as_json(at: datetime, checks: Sequence[Check]) -> dict[str, object]:
    return {
        "time": at.isoformat(),
        "version": version("delegations-projector"),
        "checks": [check._asdict() for check in checks],
    }


def _as_text(checks: Sequence[Check]) -> str:
    changes = sum(check.level is Level.CHANGE for check in checks)
    verdict = f"{counted(changes, 'thing')} must be changed" if changes else "nothing must be changed"
    width = max(len(check.name) for check in checks)
    return "\n".join([verdict, "", *(line for check in checks for line in _lines(check, width))])


def _lines(check: Check, width: int) -> list[str]:
    """What was found, and the remedy below it. A text is wrapped, a line of SQL stays whole."""
    head = f"{check.level:6}  {check.name:{width}}  "
    space = " " * len(head)
    lines = _wrapped(check.found, head, space)
    for line in (check.remedy or "").splitlines():
        lines += [space + escape(line)] if line.endswith(";") else _wrapped(line, f"{space}-> ", f"{space}   ")
    return lines


def _wrapped(text: str, first: str, next_lines: str) -> list[str]:
    return textwrap.wrap(
        escape(text),
        _WIDTH,
        initial_indent=first,
        subsequent_indent=next_lines,
        break_long_words=False,
        break_on_hyphens=False,
    )
