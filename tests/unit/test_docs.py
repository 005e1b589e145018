"""The documentation names whatever there is: each command, each of its options, each setting, each exit code."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from projector.cli import main
from projector.settings import Settings, variable

OPERATING = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The commands at the ends of the tree."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield parser
    for action in below:
        for each in action.choices.values():
            yield from commands(each)


COMMANDS = {command.prog: command for command in commands(main._parser())}


def described(command: str) -> str:
    """The line of the table of commands."""
    (line,) = re.findall(rf"^\| `{command}(?:[ `].*)$", OPERATING, re.MULTILINE)
    return str(line)


def test_the_tree_of_commands_was_walked() -> None:
    assert {"projector run", "projector dead-letters retry", "projector migrate down"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_there_with_its_options(command: str) -> None:
    line = described(command)
    for action in COMMANDS[command]._actions:
        if action.dest in Settings.model_fields or isinstance(action, argparse._HelpAction):
            continue
        name = action.option_strings[-1] if action.option_strings else str(action.metavar)
        assert name in line, f"{name} is missing in: {line}"


def test_no_command_is_there_that_does_not_exist() -> None:
    told = re.findall(r"^\| `(projector [a-z -]+?)(?: [A-Z\[-].*?)?`", OPERATING, re.MULTILINE)
    assert set(told) == set(COMMANDS)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_there_with_its_default(name: str) -> None:
    (default,) = re.findall(rf"^\| `{variable(name)}` \| (.*?) \|", OPERATING, re.MULTILINE)
    value = Settings.model_fields[name].default
    if isinstance(value, bool):
        assert default == f"`{str(value).lower()}`"
    elif isinstance(value, str | int):
        assert default == f"`{value}`"
    else:
        assert not default.startswith("`")


def test_no_setting_is_there_that_does_not_exist() -> None:
    known = {variable(name) for name in Settings.model_fields}
    assert {name.removesuffix("_FILE") if name not in known else name for name in told_variables()} <= known


def told_variables() -> set[str]:
    return set(re.findall(r"PROJECTOR_[A-Z_]+", OPERATING))


def test_every_exit_code_is_there() -> None:
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", OPERATING, re.MULTILINE)}
    assert {main.DONE, main.FAILED, main.MISCONFIGURED, main.LOG_GAP} <= told


def test_links_within_the_page_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", OPERATING, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#(.*?)\)", OPERATING)) <= headings
