"""docs/licences.md: the licence of each package, as its installed metadata has it, and of each vendored file."""

import re
from functools import partial
from importlib.metadata import PackageNotFoundError, files, metadata, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from reference.blocks import Block, table

OURS = "delegations-projector"
_VENDORED = Path(__file__).parents[2] / "projector" / "web" / "static" / "LICENSES.md"
_CLASSIFIER = "License :: OSI Approved :: "
_SHORT = 60
"""A longer field is the text of a licence."""
_EXTRAS = ("", "dashboard", "demo", "docs", "dev")
"""In their order: a package is listed once, where it is needed first."""


def blocks() -> dict[str, Block]:
    """A block per extra, and one of the vendored files."""
    lists: dict[str, list[list[str]]] = {}
    listed = {OURS}
    for extra in _EXTRAS:
        found = sorted(closure(OURS, extra) - listed)
        listed |= set(found)
        lists[f"licences {extra}".strip()] = [[f"`{name}`", licence(name)] for name in found]
    packages = {name: partial(_table, rows) for name, rows in lists.items()}
    return {**packages, "licences vendored": lambda _: vendored()}


def _table(rows: list[list[str]], _: str) -> str:
    return table(["package", "licence"], rows)


def closure(package: str, extra: str) -> set[str]:
    """The packages that a package needs with an extra, on any platform that has them installed here."""
    found: set[str] = set()
    todo = [(package, extra)]
    seen = set(todo)
    while todo:
        name, wanted = todo.pop()
        for each in map(Requirement, requires(name) or ()):
            if each.marker and not each.marker.evaluate({"extra": wanted}):
                continue
            needed = canonicalize_name(each.name)
            found.add(needed)
            for pair in ((needed, one) for one in ("", *sorted(each.extras))):
                if pair not in seen:
                    seen.add(pair)
                    todo.append(pair)
    return found


def licence(package: str) -> str:
    """As the newest of its fields has it, else by the first line of its file. Raises ValueError where none says it."""
    try:
        about = metadata(package)
    except PackageNotFoundError as error:
        raise ValueError(f"{package} is not installed in the environment of `make test`") from error
    [expression], [field] = (about.get_all(name) or [""] for name in ("License-Expression", "License"))
    classified = [each.removeprefix(_CLASSIFIER) for each in about.get_all("Classifier") or () if _CLASSIFIER in each]
    texts = [file.read_text() for file in files(package) or () if file.name.startswith("LICEN")]
    title = texts[0].strip().splitlines()[0] if texts else ""
    for found in (expression, field.strip() if len(field) < _SHORT else "", ", ".join(classified), title):
        if found:
            return str(found)
    raise ValueError(f"the metadata of {package} names no licence")


def vendored() -> str:
    """The files in the wheel that are copies of others' files."""
    rows = re.findall(r"^\| (`\S+`) \| (\S+ \S+) \| `\S+` \| (\S+) \|", _VENDORED.read_text(), re.MULTILINE)
    return table(["file", "package", "licence"], rows)
