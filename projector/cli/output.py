"""How values look on a terminal and in JSON."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def duration(seconds: float) -> str:
    """A length of time in its two largest units: 3 d 4 h, 12 min 5 s, 0.4 s."""
    for (unit, size), (smaller, part) in zip(_UNITS, (*_UNITS[1:], ("s", 1)), strict=True):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} {int(seconds % size // part)} {smaller}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def ago(at: datetime | None, now: datetime) -> str:
    """How long ago something was; "never" where it was not yet."""
    return "never" if at is None else f"{duration(max((now - at).total_seconds(), 0.0))} ago"


def when(at: datetime | None) -> str:
    """An instant in UTC, to the second."""
    return "" if at is None else at.strftime("%Y-%m-%d %H:%M:%S")


def escape(text: str, *, keep: str = "") -> str:
    """A text with its control characters escaped, `keep` aside: what is in the log may not steer a terminal."""
    return "".join(each if each.isprintable() or each in keep else ascii(each)[1:-1] for each in text)


def columns(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of one line a row, however long its last column is, so that it can be searched line by line."""
    lines = [tuple(headings), *([escape(cell) for cell in row] for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(headings) - 1)]
    return "\n".join("  ".join((*map(str.ljust, line, widths), line[-1])).rstrip() for line in lines)


def as_json(model: NamedTuple) -> dict[str, Any]:
    """A read model as JSON holds it; instants as ISO 8601 with an offset."""
    fields: dict[str, Any] = model._asdict()
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}


def progress_bar() -> Progress:
    """A bar on standard error, gone when it ends; its tasks have a field `records`. Nothing where nobody looks."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[records]:,} records"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
