"""The types of options: what a text on the command line must be."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from projector.contract import fields
from projector.contract.unreadable import Unreadable

_MAX_DIGITS = 18
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_MAX_AGE = timedelta(days=36_500)
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)
_MIN_INTERVAL, _MAX_INTERVAL = 0.1, 86_400
_MINUS = re.compile(r"-\d+[smhd]?|-\d*\.\d+")


def is_value(argument: str) -> bool:
    """Whether an argument is no flag: it has no dash in front, or is -, a negative number, -1h, or has a space."""
    if not argument.startswith("-") or argument == "-":
        return True
    return bool(_MINUS.fullmatch(argument)) or " " in argument.partition("=")[0]


def whole_number(text: str) -> int | None:
    """The number that a text of decimal digits means; None if it is another text or exceeds 64 bits."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS else None


def length_of_time(text: str) -> timedelta | None:
    """The length of time of 90s, 15m, 12h or 7d, up to a hundred years; None for another text."""
    number, unit = whole_number(text[:-1]), _UNITS.get(text[-1:])
    return None if number is None or unit is None or number > _MAX_AGE / unit else number * unit


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


class _Interval(click.ParamType[float]):
    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; a usage error if it is none."""
        text = str(value)
        if not _SECONDS.fullmatch(text) or not _MIN_INTERVAL <= float(text) <= _MAX_INTERVAL:
            limits = f"{_MIN_INTERVAL} to {_MAX_INTERVAL:,}"
            self.fail(f"must be a number of seconds, {limits}, without a unit: found {value!r}", param, ctx)
        return float(text)


INTERVAL = _Interval()
"""Seconds between two looks."""


class _Text(click.ParamType[str]):
    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text; a usage error if it is empty or not UTF-8."""
        text = str(value)
        if not text or fields.storable(text) != text:
            self.fail(f"must be a text in UTF-8 that is not empty: found {value!r}", param, ctx)
        return text


TEXT = _Text()
"""A text that Postgres can store, of at least one character."""


class _Age(click.ParamType[timedelta]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The length of time; a usage error if it is none."""
        age = length_of_time(str(value))
        if age is None:
            self.fail(f"must be a number of s, m, h or d, as 90s or 7d, up to 36500d: found {value!r}", param, ctx)
        return age


AGE = _Age()
"""A length of time up to a hundred years, as 90s, 15m, 12h or 7d."""


class _Time(click.ParamType[datetime]):
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The instant; a usage error if it is none."""
        text = str(value)
        if text.startswith("-") and (ago := length_of_time(text[1:])):
            return datetime.now(UTC) - ago
        try:
            return fields.required(fields.time(text, "it"), "it")
        except Unreadable:
            self.fail(f"must be a time of ISO 8601, or as -15m, -12h or -7d: found {value!r}", param, ctx)


TIME = _Time()
"""A time of ISO 8601, or one in the past as -15m, -12h or -7d."""
FILE = click.Path(path_type=Path, readable=False)
"""A path, which the tab key completes. The command itself reads or writes it, and reports an error."""
FOLDER = click.Path(path_type=Path, readable=False, file_okay=False)
