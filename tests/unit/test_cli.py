"""The command line: what help imports, how arguments are parsed, exit codes, and the question before a deletion."""

import inspect
import io
import json
import pkgutil
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import click
import pytest

import projector
from projector.cli import exit_codes
from projector.cli.commands import PROJECTOR
from projector.cli.main import main
from projector.cli.options import Command, whole_number
from projector.cli.output import confirm
from projector.errors import LogGap, Misconfigured, ProjectorError
from projector.process.interruption import Interrupted


def commands(group: click.Group) -> Iterator[list[str]]:
    """The names that lead to each leaf of the tree."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from ([name, *below] for below in commands(command))
        else:
            yield [name]


COMMANDS = list(commands(PROJECTOR))


def find(names: list[str]) -> Command:
    command: click.Command = PROJECTOR
    for name in names:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    assert isinstance(command, Command)
    return command


def parse(names: str, *arguments: str) -> dict[str, Any]:
    return find(names.split()).make_context(names, list(arguments)).params


# --- imports

_SHOW_HELP = """\
import io, json, sys
from contextlib import redirect_stdout
from projector.cli.main import main
with redirect_stdout(io.StringIO()):
    codes = [main(arguments) for arguments in json.loads(sys.argv[1])]
print(json.dumps([codes, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def modules_after(*runs: list[str]) -> set[str]:
    """The packages that a process has imported after these runs of the command line."""
    command = [sys.executable, "-c", _SHOW_HELP, json.dumps(runs)]
    codes, modules = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    assert set(codes) == {0}
    return set(modules)


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_root_help_imports_only_click(flag: str) -> None:
    assert modules_after([flag]).isdisjoint({"kafka", "psycopg", "pydantic", "rich"})


def test_command_help_imports_no_client() -> None:
    modules = modules_after(*[[*names, "--help"] for names in COMMANDS])
    assert modules.isdisjoint({"kafka", "psycopg", "rich"})
    assert "pydantic" in modules, "the settings are listed"


def test_version_is_an_attribute_of_the_package() -> None:
    assert projector.__version__[0].isdecimal()
    with pytest.raises(AttributeError, match="has no attribute 'version'"):
        projector.version  # type: ignore[attr-defined]  # noqa: B018


# --- arguments


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_function_takes_the_parameters_of_its_command(names: list[str]) -> None:
    command = find(names)
    function = pkgutil.resolve_name(command.function)
    assert set(inspect.signature(function).parameters) == {"settings", *(param.name for param in command.params)}
    assert command.short_help
    assert command.help


@pytest.mark.parametrize(
    ("arguments", "source"),
    [
        ([], ("topic",)),
        (["--from", "a", "b", "--json"], ("a", "b")),
        (["--from", "a", "--from", "b", "c"], ("a", "b", "c")),
        (["--from=-a"], ("-a",)),
    ],
    ids=" ".join,
)
def test_option_takes_several_values(arguments: list[str], source: tuple[str, ...]) -> None:
    assert parse("verify", *arguments)["source"] == source


def test_several_values_end_at_a_flag_or_two_dashes() -> None:
    params = parse("explain", "--recording", "a", "b", "--caller", "c", "--", "-d")
    assert [str(path) for path in params["recording"]] == ["a", "b"]
    assert (params["caller"], params["delegation"]) == ("c", "-d")


EMPTY_OPTIONS = sorted(
    {
        (" ".join(names), param.opts[0])
        for names in COMMANDS
        for param in find(names).params
        if isinstance(param, click.Option) and not param.is_flag
    }
)


@pytest.mark.parametrize(("names", "flag"), [*EMPTY_OPTIONS, ("config", "--topic"), ("run", "--group-instance-id")])
@pytest.mark.parametrize("given", ["{}=", "{} ''"])
def test_empty_option_is_a_usage_error(names: str, flag: str, given: str) -> None:
    with pytest.raises(click.UsageError, match=f"Option '{flag}' has an empty value: leave the option out, or give"):
        parse(names, *shlex.split(given.format(flag)))


def test_negative_number_is_a_value() -> None:
    assert parse("dead-letters show", "0", "-1")["offset"] == -1
    assert parse("dead-letters retry", "0", "-1", "--json", "2")["offsets"] == (-1, 2)
    assert parse("record", "--out", "x", "--from-offset", "-1", "--from-offset", "0:2")["from_offset"] == ("-1", "0:2")


def test_dashed_text_with_a_space_is_a_value() -> None:
    assert parse("config", "--sasl-password", "-a b")["sasl_password"] == "-a b"
    assert parse("explain", "-a b", "--topic=c d")["delegation"] == "-a b"


@pytest.mark.parametrize(
    ("names", "arguments"),
    [
        ("record", ["--out", "--force"]),
        ("record", ["--out"]),
        ("config", ["--topic", "--log-level", "INFO"]),
        ("rebuild", ["--only", "--yes"]),
        ("explain", ["-d"]),
        ("config", ["surplus"]),
    ],
)
def test_arguments_that_do_not_fit_are_refused(names: str, arguments: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse(names, *arguments)


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("041", 41), ("9" * 18, 10**18 - 1)])
def test_decimal_digits_are_a_whole_number(text: str, number: int) -> None:
    assert whole_number(text) == number


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "1_0", " 1", "¹", "١", "9" * 19])
def test_other_text_is_no_whole_number(text: str) -> None:
    assert whole_number(text) is None


# --- exit codes


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """`main` leaves no trace in this process: neither its handlers of signals nor its logging."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr("projector.logs.configure", lambda **_: None)
    yield monkeypatch
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("error", "code", "printed"),
    [
        (ProjectorError("failed"), exit_codes.FAILED, "projector: failed\n"),
        (Misconfigured("wrong"), exit_codes.MISCONFIGURED, "projector: wrong\n"),
        (LogGap("a gap", "repair it"), exit_codes.LOG_GAP, "projector: a gap. repair it\n"),
        (
            click.UsageError("surplus"),
            exit_codes.MISCONFIGURED,
            "projector config: error: surplus (see `projector config --help`)\n",
        ),
        (Interrupted(signal.SIGINT), 130, "projector: interrupted\n"),
        (Interrupted(signal.SIGTERM, "run it again"), 143, "projector: ended by SIGTERM; run it again\n"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_error_becomes_a_sentence_and_an_exit_code(
    in_process: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, printed: str
) -> None:
    def fail(settings: object) -> int:
        raise error

    in_process.setattr("projector.cli.config.config", fail)
    assert main(["config"]) == code
    assert capsys.readouterr() == ("", printed)


# --- the question before a deletion


def answer(monkeypatch: pytest.MonkeyPatch, typed: str, *, at_terminal: bool = True) -> None:
    stdin = io.StringIO(typed)
    monkeypatch.setattr(stdin, "isatty", lambda: at_terminal)
    monkeypatch.setattr("sys.stdin", stdin)


def test_question_is_asked_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, "yes\n")
    confirm("delete 3 rows")
    assert capsys.readouterr() == ("", "This would delete 3 rows. Type yes to continue: ")


@pytest.mark.parametrize("typed", ["y\n", "no\n", "\n", ""])
def test_any_other_answer_is_a_refusal(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    answer(monkeypatch, typed)
    with pytest.raises(Misconfigured, match="nothing was done"):
        confirm("delete 3 rows", refusal=Misconfigured)


def test_refusal_without_a_terminal_names_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "yes\n", at_terminal=False)
    with pytest.raises(ProjectorError, match="this would delete 3 rows: add --yes to do it"):
        confirm("delete 3 rows")
