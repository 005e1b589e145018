"""The pages of reference name every command, option, setting and exit code, and no page one that does not exist."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from reference.commands import leaves

from projector.cli import exit_codes
from projector.cli.commands import PROJECTOR
from projector.settings import Settings, load, unknown_variables, variable

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted({*(ROOT / "docs").glob("*.md")} - {ROOT / "docs" / "changelog.md"})]
DEPLOYED = [
    *(ROOT / name for name in ("Dockerfile", "compose.yaml")),
    *sorted(file for file in (ROOT / "deploy").rglob("*") if file.is_file()),
]
"""Their comments name commands and settings too."""
COMMANDS_PAGE = (ROOT / "docs" / "commands.md").read_text()
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()


COMMANDS = {f"projector {path}": command for path, command in leaves(PROJECTOR, "")}


def test_readme_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\(docs/([\w-]+\.md)", (ROOT / "README.md").read_text()))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} <= linked


def test_tree_of_commands_is_walked() -> None:
    assert {"projector run", "projector dead-letters retry", "projector migrate down"} <= set(COMMANDS)


def test_overview_of_commands_has_each_of_them() -> None:
    listed = re.findall(r"^\| \[`([a-z -]+)`\]\(#projector-[a-z-]+\) \|", COMMANDS_PAGE, re.MULTILINE)
    assert {f"projector {name}" for name in listed} == set(COMMANDS)
    assert len(listed) == len(COMMANDS)


def shown_commands(text: str) -> Iterator[str]:
    """The commands of the projector in code spans and in blocks."""
    parts = text.split("```")
    for prose in parts[::2]:
        yield from re.findall(r"`(projector [a-z][^`\n]*)`", prose)
    for block in parts[1::2]:
        yield from re.findall(r"^(?:\$ )?(projector [a-z][^#>;\n]*)", block, re.MULTILINE)


def exists(command: str) -> bool:
    """Whether it is a command with these options, or the name of a group."""
    words = command.split()
    names = [name for length in (3, 2) if (name := " ".join(words[:length])) in COMMANDS]
    if not names:
        return any(name.startswith(f"{' '.join(words)} ") for name in COMMANDS)
    options = {word.strip("[]").partition("=")[0] for word in words if word.lstrip("[").startswith("--")}
    known = {option for param in [*COMMANDS[names[0]].params, *COMMANDS[names[0]].settings] for option in param.opts}
    return options <= known


@pytest.mark.parametrize("page", [*PAGES, *DEPLOYED], ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_every_page_exist_with_their_options(page: Path) -> None:
    unknown = {command for command in shown_commands(page.read_text()) if not exists(command)}
    assert unknown <= {"projector first"}  # a search_path


@pytest.mark.parametrize("text", ["`projector sweep --twice`", "```\n$ projector swep\n```"])
def test_unknown_command_or_option_is_noticed(text: str) -> None:
    assert [exists(command) for command in shown_commands(text)] == [False]


def test_every_setting_is_documented() -> None:
    documented = re.findall(r"^\| `(PROJECTOR_\w+)` \|", CONFIGURATION, re.MULTILINE)
    assert sorted(documented) == sorted(map(variable, Settings.model_fields))


def test_every_documented_setting_exists() -> None:
    texts = [page.read_text() for page in [*PAGES, *DEPLOYED]]
    documented = {name for text in texts for name in re.findall(r"PROJECTOR_[A-Z_]+[A-Z](?![\w…])", text)}
    existing = {variable(name) for name in Settings.model_fields}
    assert {name if name in existing else name.removesuffix("_FILE") for name in documented} <= existing


EXAMPLES = [
    block
    for page in ("deploying.md", "security.md")
    for block in re.findall(r"^```\n((?:\w+=.*\n)+)```", (ROOT / "docs" / page).read_text(), re.MULTILINE)
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_settings_of_an_example_are_valid(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (name for name in os.environ if name.startswith("PROJECTOR_")):
        monkeypatch.delenv(name)
    for line in example.replace("/run/secrets", str(tmp_path)).splitlines():
        name, _, value = line.partition("=")
        if value.startswith(str(tmp_path)):
            Path(value).write_text("a-secret")
        monkeypatch.setenv(name, value)
    assert load({}).security_protocol
    assert unknown_variables() == {}


def test_pages_have_examples_of_settings() -> None:
    assert len(EXAMPLES) == 5


def test_every_exit_code_is_documented() -> None:
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", COMMANDS_PAGE, re.MULTILINE)}
    assert {code for name, code in vars(exit_codes).items() if isinstance(code, int)} <= documented
