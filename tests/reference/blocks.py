"""A page with generated blocks: `<!-- made by make reference: NAME -->`, lines, `<!-- end -->`. The rest is by hand."""

import re
from collections.abc import Callable, Iterable, Sequence

_BLOCK = re.compile(r"^(<!-- made by make reference: (.+?) -->\n)(.*?)^(<!-- end -->)$", re.MULTILINE | re.DOTALL)

Block = Callable[[str], str]
"""The lines of a block as they are → as they must be."""


def filled(page: str, blocks: dict[str, Block]) -> str:
    """The page with every block made again. Raises KeyError for a name that nothing makes."""
    return _BLOCK.sub(lambda found: f"{found[1]}{blocks[found[2]](found[3]).strip()}\n{found[4]}", page)


def names(page: str) -> list[str]:
    """The names of the blocks of a page."""
    return [found[2] for found in _BLOCK.finditer(page)]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" if line[0] != "---" else f"|{'|'.join(line)}|" for line in lines) + "\n"


def table_with_meanings(head: Sequence[str], rows: Iterable[tuple[Sequence[str], str]], old: str) -> str:
    """A table whose last column, the meaning, is by hand: as in the old table. A new row begins with its own."""
    cells = [line[2:-2].split(" | ", len(head)) for line in old.splitlines() if line.startswith("| ")]
    kept = {first: last for first, *_, last in cells}
    return table([*head, "meaning"], ([*row, kept.get(row[0], first)] for row, first in rows))
