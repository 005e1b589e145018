"""The command line: how arguments are parsed, exit codes, and the question before a deletion."""

import inspect
import io
import pkgutil
import shlex
import signal
from collections.abc import Iterator
from typing import Any

import click
import pytest
from command_tree import COMMANDS, find, parsed

import projector
from projector.cli import exit_codes
from projector.cli.main import main
from projector.cli.output import confirm
from projector.cli.values import whole_number
from projector.errors import LogGap, Misconfigured, ProjectorError
from projector.process.interruption import Interrupted


def parse(names: str, *arguments: str) -> dict[str, Any]:
    return find(names.split()).make_context(names, list(arguments)).params


def test_version_is_an_attribute_of_the_package() -> None:
    assert projector.__version__[0].isdecimal()
    with pytest.raises(AttributeError, match="has no attribute 'version'"):
        projector.version  # type: ignore[attr-defined]  # noqa: B018


# --- arguments


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_function_takes_the_parameters_of_its_command(names: list[str]) -> None:
    command = find(names)
    function = pkgutil.resolve_name(command.function)
    expected = {*["settings"] * command.takes_settings, *(param.name for param in command.params)}
    assert set(inspect.signature(function).parameters) == expected
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


@pytest.mark.parametrize(
    ("arguments", "leaf", "given"),
    [
        (["--topic", "t", "status"], "status", {"topic": "t"}),
        (["--topic=t", "--json", "status"], "status", {"topic": "t", "json_output": True}),
        (["--limit", "3", "dead-letters", "--json", "list"], "list", {"limit": 3, "json_output": True}),
        (["dead-letters"], "list", {"limit": 50}),
        (["parked", "--limit", "3"], "list", {"limit": 3}),
        (["push", "--state", "due"], "list", {"state": ("due",)}),
        (["deleted", "--json"], "list", {"json_output": True}),
        (["--sasl-password", "-a b", "config"], "config", {"sasl_password": "-a b"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_may_stand_before_the_command(arguments: list[str], leaf: str, given: dict[str, Any]) -> None:
    ctx = parsed(arguments)
    assert ctx.command.name == leaf
    assert given.items() <= ctx.params.items()


def test_no_option_has_a_value_in_one_command_only() -> None:
    options = [param for names in COMMANDS for param in find(names).params if isinstance(param, click.Option)]
    flags = {name for param in options if param.is_flag for name in param.opts}
    assert flags & {name for param in options if not param.is_flag for name in param.opts} == set()


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


@pytest.mark.parametrize("given", ["nan", "inf", "1e300", "0", "0.05", "86401", "1_0", "٣", "2s", "abc"])
def test_interval_is_a_number_of_seconds(given: str) -> None:
    with pytest.raises(click.UsageError, match=r"must be a number of seconds, 0\.1 to 86,400, without a unit: found"):
        parse("status", f"--watch={given}")
    assert parse("status", "--watch", "0.5")["watch"] == 0.5
    assert parse("status", "--watch")["watch"] == 2


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
        (ProjectorError("id \x1b[2J\x9b"), exit_codes.FAILED, "projector: id \\x1b[2J\\x9b\n"),
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
    def fail(settings: object, json_output: bool) -> int:
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


@pytest.mark.parametrize("typed", ["y\n", "YES\n", " yes \n"])
def test_y_and_yes_are_a_consent(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    answer(monkeypatch, typed)
    confirm("delete 3 rows")


@pytest.mark.parametrize("typed", ["n\n", "no\n", "yeah\n", "\n", ""])
def test_any_other_answer_is_a_refusal(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    answer(monkeypatch, typed)
    with pytest.raises(Misconfigured, match="nothing was done"):
        confirm("delete 3 rows", refusal=Misconfigured)


def test_refusal_without_a_terminal_names_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "yes\n", at_terminal=False)
    with pytest.raises(ProjectorError, match="this would delete 3 rows: add --yes to do it"):
        confirm("delete 3 rows")
