"""Commands that the product prints: a value in them is quoted as a shell takes it."""

import ast
import re
import shlex
from pathlib import Path

import pytest

import projector
from projector.texts import command

PRODUCT = Path(projector.__file__).parent
COMMAND_WITH_VALUE = re.compile(r"`(projector |push )[^`]*\{")
TEMPLATE_VALUE = re.compile(r"~ (\((?:[^()]*)\)|[\w.]+)")
NUMBERS = ("each.partition", "each.offset")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("push", "retry", "d-1"), "`projector push retry d-1`"),
        (("explain", 'it\'s "1" of 2'), """`projector explain 'it'"'"'s "1" of 2'`"""),
        (("dead-letters", "retry", "--topic", "a b", 3, 41), "`projector dead-letters retry --topic 'a b' 3 41`"),
    ],
)
def test_command_is_quoted_for_a_shell(words: tuple[object, ...], shown: str) -> None:
    assert command(*words) == shown
    assert shlex.split(shown.strip("`")) == ["projector", *map(str, words)]


def test_values_in_commands_are_quoted() -> None:
    """A sentence gets a command with a value by `texts.command`, and never as a part of itself."""
    trees = [ast.parse(file.read_text()) for file in PRODUCT.rglob("*.py") if file.name != "texts.py"]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    sentences = list(map(ast.unparse, nodes))
    assert len(sentences) > 500
    assert [each for each in sentences if COMMAND_WITH_VALUE.search(each)] == []


def test_values_in_commands_of_pages_are_quoted() -> None:
    pages = "".join(file.read_text() for file in PRODUCT.rglob("*.html"))
    lines = re.findall(r"parts\.command\((.*?)\) }}", pages)
    values = [value for line in lines for value in TEMPLATE_VALUE.findall(line)]
    assert len(values) > 4
    assert [each for each in values if "| shell" not in each and each not in NUMBERS] == []
