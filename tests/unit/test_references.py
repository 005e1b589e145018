"""What a file refers to exists: files, headings, decisions, modules, and the messages that the pages quote."""

import ast
import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KINDS = {".md", ".py", ".sql", ".toml", ".yaml", ".yml", ".txt"}
OTHERS = {"Makefile", "Dockerfile", ".dockerignore", ".editorconfig", "run"}
NOT_READ = {"build", "dist", "results", "__pycache__"}
"""Folders of tools and of measurements. Hidden folders are not read either, except `.ci`."""

CODE_SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"[\w.…-]+(?:/[\w.…-]+)*/?")
SOURCE = re.compile(r".+\.(?:py|sql|md|toml|ya?ml)")
PLACEHOLDER = re.compile("…|NNN|NAME|TITLE")
DOTTED = re.compile(r"(?:projector|testbed|tests|benchmarks|events|schema)(?:\.[A-Za-z_]\w*)+")
DECISION = re.compile(r"[Dd]ecisions?[ /](\d{4})")
SECTION = re.compile(r"events/README\.md, sections? (\d)(?:(?: to |, | and )(\d))*")
ABSENT_DOCUMENT = re.compile(r"(?:CONTRACT|DESIGN|HOUSE|REVIEW|STYLE)\.md|CONTRACT [§]")

NOT_IN_A_CHECKOUT = {"projector/schema", "projector.env"}
"""A folder of the wheel, and a file that the reader writes."""
OF_POSTGRES = {
    "connection failed: …",
    "canceling statement due to lock timeout",
    "canceling statement due to statement timeout",
    "cannot execute … in a read-only transaction",
}

Check = Callable[[Path, str], Iterator[str]]


@cache
def files() -> list[Path]:
    """Every text file of the repository that can refer to another one."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name == ".ci" or (name not in NOT_READ and not name.startswith("."))]
        found += [Path(folder, name) for name in names if name in OTHERS or Path(name).suffix in KINDS]
    return sorted(found)


@cache
def folders() -> set[str]:
    """The folders at the root that hold files of the repository."""
    return {file.relative_to(ROOT).parts[0] for file in files() if file.parent != ROOT}


@cache
def is_there(path: str) -> bool:
    return any(ROOT.glob(PLACEHOLDER.sub("*", path).rstrip("/")))


@cache
def endings() -> set[str]:
    """`tests/unit/test_fold.py`, `unit/test_fold.py`, `test_fold.py`, … of every file."""
    paths = [file.relative_to(ROOT).parts for file in files()]
    return {"/".join(parts[start:]) for parts in paths for start in range(len(parts))}


def paths_in_code_spans(file: Path, text: str) -> Iterator[str]:
    """A path from the root must exist. `file.py` may also be relative to the page, or the end of a path."""
    for span in CODE_SPAN.findall(text):
        path = span.partition("#")[0].partition("::")[0]
        if span in NOT_IN_A_CHECKOUT or not PATH.fullmatch(path):
            continue
        if "/" in path and path.partition("/")[0] in folders():
            found = is_there(path)
        else:
            found = not SOURCE.fullmatch(path) or path in endings() or (file.parent / path).exists()
        if not found:
            yield span


def paths_in_text(_: Path, text: str) -> Iterator[str]:
    """Paths from the root that end in a known suffix or in a slash, also outside of code spans."""
    tops = "|".join(map(re.escape, sorted(folders())))
    found = re.findall(rf"(?<![\w./*-])((?:{tops})/[\w./…-]*?(?:\.(?:py|sql|md|toml|ya?ml)\b|/(?![\w*.…])))", text)
    yield from (path for path in found if not is_there(path))


def links(file: Path, text: str) -> Iterator[str]:
    """Links of a page to files and to headings."""
    for target in LINK.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL)) if file.suffix == ".md" else ():
        path, _, anchor = target.partition("#")
        page = (file.parent / path).resolve() if path else file
        if not page.exists() or (anchor and anchor not in anchors(page)):
            yield target


def anchors(page: Path) -> set[str]:
    """The headings of a page, as its links name them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def decisions(_: Path, text: str) -> Iterator[str]:
    yield from (f"decision {number}" for number in DECISION.findall(text) if not is_there(f"docs/decisions/{number}-…"))


def sections(_: Path, text: str) -> Iterator[str]:
    """Sections of the event contract."""
    for found in SECTION.finditer(text):
        for number in re.findall(r"\d", found[0]):
            contract = ROOT / "events" / "README.md"
            if not contract.exists() or not re.search(rf"^## {number}\b", contract.read_text(), re.MULTILINE):
                yield found[0]


def names(_: Path, text: str) -> Iterator[str]:
    """`package.module.name` in code spans; `projector.positions` may also be a table."""
    for span in CODE_SPAN.findall(text):
        dotted = span.removeprefix("python -m ").partition("(")[0]
        if DOTTED.fullmatch(dotted) and span not in NOT_IN_A_CHECKOUT and not (is_code(dotted) or is_table(dotted)):
            yield span


def is_code(dotted: str) -> bool:
    """Whether it is a module, or a name that a module defines."""
    package, _, name = dotted.rpartition(".")
    definition = rf"(?:def|class) {name}\b|^ *{name}\b"
    return bool(sources(dotted)) or any(
        re.search(definition, module.read_text(), re.MULTILINE) for module in sources(package)
    )


def sources(module: str) -> list[Path]:
    path = module.replace(".", "/")
    return [file for end in (".py", "/__init__.py", ".sql") if (file := ROOT / f"{path}{end}").exists()]


def is_table(dotted: str) -> bool:
    made = (file.read_text() for file in ROOT.glob("schema/*.up.sql"))
    return any(re.search(rf"CREATE (?:UNLOGGED )?TABLE {re.escape(dotted)}\b", sql) for sql in made)


def absent_documents(_: Path, text: str) -> Iterator[str]:
    """Papers from the time before the repository."""
    yield from ABSENT_DOCUMENT.findall(text)


CHECKS: list[Check] = [paths_in_code_spans, paths_in_text, links, decisions, sections, names, absent_documents]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_references_lead_somewhere(check: Check) -> None:
    dangling = [
        f"{file.relative_to(ROOT)}: {reference}"
        for file in files()
        if file != Path(__file__)
        for reference in check(file, file.read_text())
    ]
    assert dangling == []


@pytest.mark.parametrize(
    ("check", "dangling", "sound"),
    [
        (
            paths_in_code_spans,
            "`projector/nowhere.py`",
            "`projector/settings/fields.py`, `host/process`, `export.jsonl`",
        ),
        (paths_in_code_spans, "`test_nowhere.py`", "`test_settings.py`, `tests/`, `schema/NNN_TITLE.up.sql`"),
        (paths_in_code_spans, "`docs/nowhere`", "`docs/decisions`, `benchmarks/results/….json`"),
        (paths_in_text, "see docs/nowhere.md.", "see docs/running.md. 500 events/s, tests/*"),
        (links, "[a](../nowhere.md)", "[a](../README.md), [b](decisions/)"),
        (links, "[a](commands.md#nowhere)", "[a](commands.md#exit-codes)\n```\n[b](c)\n```"),
        (links, "# Here\n[a](#there)", "[a](decisions/0006-rebuild.md)"),
        (decisions, "decision 9999", "decision 0006, docs/decisions/0002"),
        (names, "`projector.nowhere`", "`projector.settings`, `projector.settings.Settings`, `projector.positions`"),
        (names, "`python -m testbed.nowhere`", "`python -m testbed.demo`, `projector.env`"),
        (absent_documents, "the rules of CONTRACT \N{SECTION SIGN}4", "the contract, section 4"),
    ],
)
def test_dangling_reference_is_noticed(check: Check, dangling: str, sound: str) -> None:
    page = ROOT / "docs" / "commands.md"
    assert len(list(check(page, dangling))) == 1
    assert list(check(page, sound)) == []


# --- messages


@cache
def strings() -> str:
    """All texts in the code of the product, a line each."""
    trees = (ast.parse(file.read_text()) for file in (ROOT / "projector").rglob("*.py"))
    nodes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return "\n".join(node.value.replace("\n", " ") for node in nodes if isinstance(node.value, str))


def quoted_messages(page: str) -> list[str]:
    """The code spans in the first column of the tables of messages."""
    found = []
    for table in re.findall(r"^\| (?:message|error|last line) \|.*\n\|[-|]+\n((?:\|.*\n)+)", page, re.MULTILINE):
        found += [span for row in table.splitlines() for span in CODE_SPAN.findall(row.split(" | ")[0])]
    return found


def test_messages_of_the_pages_are_in_the_code() -> None:
    quoted = [each for page in (ROOT / "docs").glob("*.md") for each in quoted_messages(page.read_text())]
    assert len(quoted) > 120
    unknown = [each for each in quoted if each not in OF_POSTGRES and not (is_message(each) or DOTTED.fullmatch(each))]
    assert unknown == []


def is_message(quoted: str) -> bool:
    """Whether each piece between ellipses is a piece of a text in the code."""
    return all(piece.strip() in strings() for piece in quoted.split("…"))
