"""`projector doctor`: what must be changed, one line per check."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from projector.cli import terminal
from projector.cli.exit_codes import DONE, MISCONFIGURED
from projector.cli.terminal import wrap
from projector.doctor.checks import Check, Level
from projector.doctor.report import examine
from projector.settings import Settings
from projector.texts import counted, escape

_WIDTH = 80
_NARROW_INDENT = 8
"""Of the texts below a check, if half of a line is not enough for them."""


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
    columns = min(terminal.width() or _WIDTH, _WIDTH)
    head = f"{check.level:6}  {check.name:{width}}  "
    lines, space = ([], " " * len(head)) if len(head) <= columns // 2 else ([head.rstrip()], " " * _NARROW_INDENT)
    lines.append(wrap(escape(check.found), space, first=space if lines else head, columns=columns))
    for line in map(escape, (check.remedy or "").splitlines()):
        is_sql = line.endswith(";")
        lines.append(space + line if is_sql else wrap(line, f"{space}   ", first=f"{space}-> ", columns=columns))
    return lines
