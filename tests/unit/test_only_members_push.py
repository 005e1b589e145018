"""Only members and retried dead letters push results: no other module of the product asks for it."""

import ast
from pathlib import Path

import projector

ROOT = Path(projector.__file__).parent
PASS_IT_ON = {"projection/transaction.py", "projection/dead_letters.py"}
"""The modules that hand on what their caller gave."""
ASK_FOR_IT = {"worker/loop.py", "worker/push.py", "cli/dead_letters.py"}


def gives_push(file: Path) -> bool:
    calls = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
    return any(keyword.arg == "push" for call in calls for keyword in call.keywords)


def test_only_members_and_retried_dead_letters_push() -> None:
    found = {file.relative_to(ROOT).as_posix() for file in ROOT.rglob("*.py") if gives_push(file)}
    assert found == PASS_IT_ON | ASK_FOR_IT
