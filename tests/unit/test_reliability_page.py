"""`docs/reliability.md` names only tests that exist, and every fault test."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text()


def named_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


FAULTS = {path.name: named_in(path) for path in (ROOT / "tests" / "faults").glob("test_*.py")}
EVERYWHERE = {name for path in (ROOT / "tests").glob("*/test_*.py") for name in named_in(path)}


def test_every_fault_has_its_row() -> None:
    what_holds = PAGE.partition("## What holds")[2].partition("## ")[0]
    assert re.findall(r"^\| (\d+) \|", what_holds, re.MULTILINE) == [str(number) for number in range(1, 32)]


def test_named_tests_exist() -> None:
    named = {f"test_{name}" for name in re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+){4,})`", PAGE)}
    assert len(named) > 10
    assert named <= EVERYWHERE


def test_page_names_every_fault_test_or_its_file() -> None:
    for file, tests in FAULTS.items():
        if f"`{file}`, all of it" not in PAGE:
            assert file in PAGE
            assert {name for name in tests if f"`{name.removeprefix('test_')}`" not in PAGE} == set()
