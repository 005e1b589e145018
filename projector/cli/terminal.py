"""Output for people: lines that fit the terminal, in colours if it has them."""

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size

from projector.cli.output import escape, styled

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
    """The text in the style of a level: good, note, bad, strong or dim."""
    return styled(text, **_STYLES[level]) if text else ""


def wrap(text: str, indent: str = "") -> str:
    """A sentence in lines that fit the terminal. A word that is longer than a line stays whole."""
    if (columns := width()) is None:
        return indent + text
    lines = textwrap.wrap(
        text,
        max(columns, len(indent) + 20),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)


def labelled(label: str, text: str) -> str:
    """A label and a text. On a terminal, further lines of the text begin below its first."""
    indent = " " * len(label)
    return label + wrap(text, indent).removeprefix(indent)


def fit(text: str, columns: int) -> str:
    """The start of a text that fits these columns, with … if it is cut. Some characters take two columns."""
    return text if cell_len(text) <= columns else f"{set_cell_size(text, columns - 1)}…"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[str] = ()) -> str:
    """A table. Columns are right-aligned, except those in `left`.

    If the terminal is too narrow, each row becomes a list of its values: no value is ever cut.
    """
    lines = [list(headings), *map(list, rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(headings))]
    if (columns := width()) is not None and sum(widths) + 2 * (len(widths) - 1) > columns:
        return "\n".join(_listed(headings, row) for row in rows)
    shown = [
        "  ".join(
            cell.ljust(size) if heading in left else cell.rjust(size)
            for heading, cell, size in zip(headings, line, widths, strict=True)
        ).rstrip()
        for line in lines
    ]
    return "\n".join([paint(shown[0], "strong"), *shown[1:]])


def columns(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts that may be long or have control characters, all of them left-aligned."""
    return table(headings, [[escape(cell) for cell in row] for row in rows], left=headings)


def _listed(headings: Sequence[str], row: Sequence[str]) -> str:
    """`partition 3`, and below it each other value with its heading."""
    size = max(map(len, headings[1:]))
    values = [
        labelled(f"  {heading:{size}}  ", cell) for heading, cell in zip(headings[1:], row[1:], strict=True) if cell
    ]
    return "\n".join([paint(f"{headings[0]} {row[0]}", "strong"), *values])
