"""The order of arguments: click reads flags with their values first, then what has a place."""

from collections import deque
from collections.abc import Mapping, Sequence

import click

from projector.cli.values import is_value


class Several(click.Option):
    """An option that takes all values up to the next flag: `--only A B` equals `--only A --only B`."""

    def __init__(self, flags: Sequence[str], **attributes: object) -> None:
        super().__init__(flags, multiple=True, **attributes)  # type: ignore[arg-type]


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
        elif is_value(argument):
            positional.append(argument)
        elif isinstance(known, click.Option) and not known.is_flag:
            flags += [f"{argument}={value}" for value in _take_values(argument, known, rest)]
        else:
            flags.append(argument)
    return [*flags, "--", *positional, *rest]


def leading_options(arguments: Sequence[str], takes_value: Mapping[str, bool]) -> tuple[list[str], list[str]]:
    """The options in front of the first word, each with its value; and the rest."""
    before: list[str] = []
    rest = deque(arguments)
    while rest and not is_value(rest[0]) and rest[0] != "--":
        before.append(rest.popleft())
        if rest and is_value(rest[0]) and takes_value.get(before[-1]):
            before.append(rest.popleft())
    return before, list(rest)


def _take_values(flag: str, option: click.Option, rest: deque[str]) -> list[str]:
    values: list[str] = []
    while rest and is_value(rest[0]) and (isinstance(option, Several) or not values):
        values.append(_not_empty(flag, rest.popleft()))
    if not values and isinstance(option.flag_value, str):  # its value may be left out
        return [option.flag_value]
    if not values:
        message = f"Option {flag!r} requires an argument."
        raise click.BadOptionUsage(flag, message, click.get_current_context(silent=True))
    return values


def _not_empty(flag: str, value: str) -> str:
    if not value:  # one of blanks may be the id of a delegation
        message = f"Option {flag!r} has an empty value: leave the option out, or give a value."
        raise click.BadOptionUsage(flag, message, click.get_current_context(silent=True))
    return value
