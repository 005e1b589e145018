"""--help, --help-settings and completion: what they show, and that they load no client of Kafka or Postgres."""

import json
import re
import shlex
import subprocess
import sys

import click
import pytest
from command_tree import COMMANDS, parsed

from projector.cli.commands import PROJECTOR
from projector.cli.completion import answer
from projector.cli.examples import EXAMPLES
from projector.cli.exit_codes import MEANINGS
from projector.settings import Settings, variable

_RUN = """\
import io, json, sys
from contextlib import redirect_stdout
from projector.cli.main import main
with redirect_stdout(io.TextIOWrapper(io.BytesIO())):
    codes = [main(arguments) for arguments in json.loads(sys.argv[1])]
print(json.dumps([codes, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def modules_after(*runs: list[str], **variables: str) -> set[str]:
    """The packages that a process has imported after these runs of the command line."""
    command = [sys.executable, "-c", _RUN, json.dumps(runs)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60, env=variables or None)
    codes, modules = json.loads(done.stdout)
    assert set(codes) == {0}
    return set(modules)


def text_of(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(click.exceptions.Exit):
        PROJECTOR.invoke(PROJECTOR.make_context("projector", list(arguments)))
    return capsys.readouterr().out


# --- imports


def test_help_imports_neither_a_client_nor_pydantic() -> None:
    runs = [["--help"], ["--version"], ["completion", "zsh"], *([*names, "--help"] for names in COMMANDS)]
    assert modules_after(*runs).isdisjoint({"kafka", "psycopg", "pydantic", "rich"})


def test_completion_imports_neither_a_client_nor_pydantic() -> None:
    typed = {"_PROJECTOR_COMPLETE": "bash_complete", "COMP_WORDS": "projector --topic x status --j", "COMP_CWORD": "4"}
    assert modules_after([], **typed).isdisjoint({"kafka", "psycopg", "pydantic", "rich"})


# --- help


def test_command_help_shows_defaults_choices_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    text = text_of("push", "list", "--help", capsys=capsys)
    assert "[default: 50]" in text
    assert "(due, sent, told_by_platform" in " ".join(text.split())
    assert "Examples:\n  projector push\n" in text
    assert "PROJECTOR_BATCH_RECORDS" not in text


def test_root_help_has_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    text = text_of("--help", capsys=capsys)
    assert [line.split()[0] for line in text.partition("Exit codes:")[2].splitlines() if line] == list(
        map(str, MEANINGS)
    )


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_help_of_every_command_fits_80_columns(names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    text = text_of(*names, "--help", capsys=capsys)
    assert [line for line in text.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_examples_of_every_command_are_valid(names: list[str]) -> None:
    examples = EXAMPLES[" ".join(names)]
    assert 1 <= len(examples) <= 3
    for example in examples:
        (arguments,) = re.findall(r"\bprojector ([^|>)#]*[^|>)# ])", example)
        assert parsed(shlex.split(arguments)).command_path == " ".join(["projector", *names])


def test_examples_are_of_commands_that_exist() -> None:
    assert {" ".join(names) for names in COMMANDS} == set(EXAMPLES)


# --- settings


@pytest.mark.parametrize("arguments", [[], ["status"], ["dead-letters", "list", "--json"]], ids=" ".join)
def test_settings_are_listed_with_type_range_and_default(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = text_of(*arguments, "--help-settings", capsys=capsys)
    assert [name for name in Settings.model_fields if f"  {variable(name)}  " not in text] == []
    for line in (
        "\nKafka:\n",
        "  PROJECTOR_TOPIC  text; default activity-log\n      the topic of activity events\n",
        "  PROJECTOR_BATCH_RECORDS  records, from 1 on; default 20000\n",
        "  PROJECTOR_SWEEP_BRAKE_PERCENT  percent, from 0 to 100; default 50\n",
        "  PROJECTOR_LOG_FORMAT  human | json; default human\n",
        "  PROJECTOR_SSL_CHECK_HOSTNAME  true | false; default true\n",
        "  PROJECTOR_HTTP_ADDRESS  host:port; default none\n",
        "  PROJECTOR_SASL_PASSWORD  text, secret; default none\n",
    ):
        assert line in text


# --- completion


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("projector st", ["status"]),
        ("projector dead-letters ", ["list", "show", "retry", "discard"]),
        ("projector status --js", ["--json"]),
        ("projector status --batch-r", ["--batch-records"]),
        ("projector --topic x stat", ["status"]),
        ("projector push list --state ex", ["expired"]),
        ("projector completion z", ["zsh"]),
    ],
)
def test_tab_completes_commands_options_and_choices(
    typed: str, offered: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_PROJECTOR_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split(" ")) - 1))
    assert answer(PROJECTOR) == 0
    assert [line.partition(",")[2] for line in capsys.readouterr().out.split()] == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_of_every_shell_is_printed(shell: str) -> None:
    done = subprocess.run([sys.executable, "-m", "projector", "completion", shell], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"_PROJECTOR_COMPLETE={shell}_complete" in done.stdout


def test_every_command_is_one_line_of_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    listed = text_of("--help", capsys=capsys).partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in listed] == list(PROJECTOR.commands)
