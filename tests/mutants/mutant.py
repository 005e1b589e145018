"""One mistake: a text of a file of the product, and what stands there instead."""

import os
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Mutant(NamedTuple):
    """`mistake`: what would be wrong then. `old` is in the file exactly once.

    `tests`: files of tests, some of which must fail. `likely`: the name of one that does, which runs before all others.
    """

    mistake: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    likely: str = ""

    def apply(self, root: Path) -> str:
        """Make the mistake in the tree below `root`. Returns the text of the file before."""
        file = root / self.file
        before = file.read_text()
        if (times := before.count(self.old)) != 1:
            raise ValueError(f"{self.mistake}: its old text is {times} times in {self.file}, not once: {self.old!r}")
        write(file, before.replace(self.old, self.new))
        return before


def write(file: Path, text: str) -> None:
    """Write a file with a time that it never had: else Python would take the bytecode of a text of the same length."""
    file.write_text(text)
    time = next(_TIMES)
    os.utime(file, (time, time))


_TIMES = count(10**9)


def mutants(file: str, tests: str, *mistakes: tuple[str, ...]) -> Iterable[Mutant]:
    """Mutants of one file, as (mistake, old, new) or (mistake, old, new, likely).

    `tests`: names of test files, without `test_` and `.py`.
    """
    paths = tuple(_path(name) for name in tests.split())
    return [Mutant(mistake, file, old, new, paths, *likely) for mistake, old, new, *likely in mistakes]


def _path(name: str) -> str:
    folder, _, rest = name.rpartition("/")
    return f"tests/{folder or 'unit'}/test_{rest}.py"
