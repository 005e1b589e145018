"""What our commands add to click: settings as flags, options with several values, and code that is imported late."""

import logging
import pkgutil
import re
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any

import click

from projector import logs
from projector.contract.fields import storable
from projector.process.interruption import interruptible

log = logging.getLogger(__name__)

_NEGATIVE_NUMBER = re.compile(r"-\d+|-\d*\.\d+")
_MAX_DIGITS = 18
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_MAX_AGE = timedelta(days=36_500)


class Group(click.Group):
    """A group that lists its commands in the order of their declaration. Without a command it is a usage error.

    If it has a `default`, the command of that name runs if none is named.
    """

    def __init__(self, name: str, *, default: str | None = None, **attributes: Any) -> None:
        super().__init__(name, no_args_is_help=False, subcommand_metavar="COMMAND ...", **attributes)
        self.default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the name of the default command first, if no command is named and no help is asked for."""
        is_named = bool(args) and (not args[0].startswith("-") or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if is_named or self.default is None else [self.default, *args])

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands."""
        return list(self.commands)


class Command(click.Command):
    """A command that takes every setting as a flag.

    `function` names what runs it, as "module:function". It takes the settings and the command's own parameters, and
    returns the exit code. It is imported when the command runs, so help loads no client of Kafka or Postgres.
    """

    def __init__(
        self, name: str, function: str, *, short_help: str, if_interrupted: str = "", **attributes: Any
    ) -> None:
        """`if_interrupted`: what to do after a Ctrl-C, as a part of a sentence."""
        attributes.setdefault("help", f"{short_help[0].upper()}{short_help[1:]}.")
        super().__init__(name, short_help=short_help, **attributes)
        self.function = function
        self.if_interrupted = if_interrupted

    @cached_property
    def settings(self) -> list[click.Parameter]:
        """One option per setting, except for settings that the command declares itself."""
        from projector.settings import Settings, variable  # pydantic, which `projector --help` does without

        own = {param.name for param in self.params}
        return [
            click.Option(["--" + name.replace("_", "-")], metavar="…", help=f"{field.description} [{variable(name)}]")
            for name, field in Settings.model_fields.items()
            if name not in own
        ]

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own parameters, --help, and the settings."""
        return [*super().get_params(ctx), *self.settings]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the settings under a heading of their own: they are many, and the command's own options are few."""
        own = [param for param in super().get_params(ctx) if isinstance(param, click.Option)]
        for heading, options in (("Options", own), ("Settings, each also as an environment variable", self.settings)):
            with formatter.section(heading):
                formatter.write_dl([record for option in options if (record := option.get_help_record(ctx))])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments by the rules of `arrange`."""
        options = {flag: param for param in self.get_params(ctx) for flag in param.opts}
        return super().parse_args(ctx, arrange(args, options))

    def invoke(self, ctx: click.Context) -> Any:
        """Load the settings, configure the log, and run the command."""
        from projector.settings import Settings, load, unknown_variables

        settings = load({name: value for name in Settings.model_fields if (value := ctx.params[name]) is not None})
        logs.configure(log_format=settings.log_format, log_level=settings.log_level)
        for name, similar in unknown_variables().items():
            log.warning("unknown setting %s (did you mean %s?)", name, similar)
        own = {param.name: ctx.params[param.name] for param in self.params}
        function = pkgutil.resolve_name(self.function)
        with interruptible(self.if_interrupted):
            return ctx.invoke(function, settings, **own)


class Several(click.Option):
    """An option that takes all values up to the next flag: `--only A B` equals `--only A --only B`."""

    def __init__(self, flags: Sequence[str], **attributes: Any) -> None:
        super().__init__(flags, multiple=True, **attributes)


def option(name: str, metavar: str, text: str, **attributes: Any) -> click.Option:
    """An option with one value, and its help text."""
    return click.Option([name], metavar=metavar, help=text, **attributes)


def flag(name: str, text: str, *parameter: str) -> click.Option:
    """An option without a value, and its help text. `parameter` is its name as a parameter, if it is not the flag's."""
    return click.Option([name, *parameter], is_flag=True, help=text)


def json_flag(text: str = "print one object of JSON instead") -> click.Option:
    """The option --json."""
    return flag("--json", text, "json_output")


def arrange(arguments: Sequence[str], options: Mapping[str, click.Parameter]) -> list[str]:
    """The same arguments as `--flag=value` first, then `--`, then the positional arguments.

    click alone takes `--force` as the value in `--out --force`, and `-1` as a flag. Here an argument that begins with a
    dash is a value only if it is a number, has a space, is joined to its flag by "=", or comes after `--`.
    """
    flags: list[str] = []
    positional: list[str] = []
    rest = deque(arguments)
    while rest:
        argument = rest.popleft()
        known = options.get(argument)
        if argument == "--":
            break
        flag, joined, value = argument.partition("=")
        if joined and flag in options:
            flags.append(f"{flag}={_not_empty(flag, value)}")
        elif _is_value(argument):
            positional.append(argument)
        elif isinstance(known, click.Option) and not known.is_flag:
            flags += [f"{argument}={value}" for value in _take_values(argument, known, rest)]
        else:
            flags.append(argument)
    return [*flags, "--", *positional, *rest]


def _take_values(flag: str, option: click.Option, rest: deque[str]) -> list[str]:
    values: list[str] = []
    while rest and _is_value(rest[0]) and (isinstance(option, Several) or not values):
        values.append(_not_empty(flag, rest.popleft()))
    if not values:
        message = f"Option {flag!r} requires an argument."
        raise click.BadOptionUsage(flag, message, click.get_current_context(silent=True))
    return values


def _not_empty(flag: str, value: str) -> str:
    if not value:  # one of blanks may be the id of a delegation
        message = f"Option {flag!r} has an empty value: leave the option out, or give a value."
        raise click.BadOptionUsage(flag, message, click.get_current_context(silent=True))
    return value


def _is_value(argument: str) -> bool:
    if not argument.startswith("-") or argument == "-":
        return True
    return bool(_NEGATIVE_NUMBER.fullmatch(argument)) or " " in argument.partition("=")[0]


def whole_number(text: str) -> int | None:
    """The number that a text of decimal digits means; None if it is another text or exceeds 64 bits."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS else None


class _Count(click.ParamType[int]):
    name = "count"

    def __init__(self, minimum: int) -> None:
        self._minimum = minimum

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; a usage error if it is none."""
        number = whole_number(str(value))
        if number is None or number < self._minimum:
            self.fail(f"must be a whole number from {self._minimum} on: found {value!r}", param, ctx)
        return number


COUNT = _Count(1)
"""A whole number from 1 on."""
NUMBER = _Count(0)
"""A whole number from 0 on."""


class _Text(click.ParamType[str]):
    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text; a usage error if it is empty or not UTF-8."""
        text = str(value)
        if not text or storable(text) != text:
            self.fail(f"must be a text in UTF-8 that is not empty: found {value!r}", param, ctx)
        return text


TEXT = _Text()
"""A text that Postgres can store, of at least one character."""


class _Age(click.ParamType[timedelta]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The length of time; a usage error if it is none."""
        text = str(value)
        number, unit = whole_number(text[:-1]), _UNITS.get(text[-1:])
        if number is None or unit is None or number > _MAX_AGE / unit:
            self.fail(f"must be a number of s, m, h or d, as 90s, 15m, 12h or 7d: found {value!r}", param, ctx)
        return number * unit


AGE = _Age()
"""A length of time up to a hundred years, as 90s, 15m, 12h or 7d."""
