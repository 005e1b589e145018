"""Output for people: lines that fit the terminal, in colours if it has them."""

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.cells import cell_len, set_cell_size

from projector.logs import has_colours
from projector.texts import escape

_GAP = 2
"""Blanks between two columns."""
_TEXT_COLUMNS = 30
"""A text that is wrapped in a table has at least these columns."""
_SHORT_INDENT = 4
_STYLES: dict[str, dict[str, Any]] = {
    "good": {"fg": "green"},
    "note": {"fg": "yellow"},
    "bad": {"fg": "red"},
    "strong": {"bold": True},
    "dim": {"dim": True},
}


def is_terminal() -> bool:
    """Whether a person sees standard output."""
    return sys.stdout.isatty()


def width() -> int | None:
    """The columns of the terminal. None elsewhere: there a line is never broken, so that grep finds it."""
    return shutil.get_terminal_size().columns if is_terminal() else None


def paint(text: str, level: str) -> str:
    """The text in the style of a level: good, note, bad, strong or dim. Plain without a terminal, and with NO_COLOR."""
    return click.style(text, **_STYLES[level]) if text and has_colours(sys.stdout) else text


def wrap(text: str, indent: str = "", *, first: str | None = None, columns: int | None = None) -> str:
    """A sentence in lines that fit the terminal, or these columns. A word that is longer than a line stays whole.

    `first` is in front of the first line, and `indent` in front of the others, and of the first by default. An
    indentation of more than half a line is shortened. Without room for a word behind `first`, the text is below it.
    """
    first = indent if first is None else first
    if (columns := columns or width()) is None:
        return first + text
    if len(indent) > columns // 2:
        indent = " " * _SHORT_INDENT
    if first.strip() and len(first + next(iter(text.split()), "")) > columns:
        return f"{first.rstrip()}\n{wrap(text, ' ' * _SHORT_INDENT, columns=columns)}"
    lines = textwrap.wrap(
        text,
        columns,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines or [first])


def fit(text: str, columns: int) -> str:
    """The start of a text that fits these columns, with … if it is cut. Some characters take two columns."""
    return text if cell_len(text) <= columns else f"{set_cell_size(text, columns - 1)}…"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> str:
    """A table with one line per row. Columns are left-aligned, except those in `right`.

    On a terminal that is too narrow, the last column is wrapped. If that is not enough, each row becomes a list of its
    values: no value is ever cut.
    """
    lines = [list(headings), *([escape(cell) for cell in row] for row in rows)]
    widths = [max(cell_len(line[n]) for line in lines) for n in range(len(headings) - 1)]
    room = None if (columns := width()) is None else columns - sum(widths) - _GAP * len(widths)
    if room is not None and max(_least(line[-1]) for line in lines) > room:
        return "\n".join(_listed(headings, line) for line in lines[1:])
    shown = [_row(headings, line, widths, right) for line in lines]
    return "\n".join([paint(shown[0], "strong"), *shown[1:]])


def _least(cell: str) -> int:
    """The columns that a wrapped cell needs: those of its longest word, and enough for a few words of a text."""
    return max(min(cell_len(cell), _TEXT_COLUMNS), *map(cell_len, cell.split()), 0)


def _row(headings: Sequence[str], cells: Sequence[str], widths: Sequence[int], right: Sequence[str]) -> str:
    first = ""
    for heading, cell, size in zip(headings, cells, widths, strict=False):
        space = " " * (size - cell_len(cell))
        first += (space + cell if heading in right else cell + space) + " " * _GAP
    return wrap(cells[-1], " " * len(first), first=first).rstrip()


def _listed(headings: Sequence[str], row: Sequence[str]) -> str:
    """`partition 3`, and below it each other value with its heading."""
    size = max(map(len, headings[1:])) + 2 * _GAP
    if size > (width() or size) // 2:
        size = 0  # no room for columns
    values = [
        wrap(cell, " " * max(size, 2 * _GAP), first=f"{f'  {heading}  ':{size}}")
        for heading, cell in zip(headings[1:], row[1:], strict=True)
        if cell
    ]
    return "\n".join([paint(wrap(row[0], " " * _GAP, first=f"{headings[0]} "), "strong"), *values])
