"""Strict JSON: no `NaN`, no `Infinity`, at most 500 levels. Lone surrogates are accepted: real texts contain them.

Pydantic's parser reads almost every value. It refuses lone surrogates, deep nesting and very long numbers; the parser
of the standard library reads those. docs/decisions/0005-parsing.md has the figures.
"""

import json
from typing import NoReturn

from pydantic_core import from_json

from projector.contract.unreadable import Unreadable

_MAX_INTEGER_DIGITS = 4000
_MAX_LEVELS = 500
"""A fixed limit: how many levels the stack allows depends on Python's version and on the caller."""


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")


def _integer(digits: str) -> int | float:
    # int() raises for more digits than this. No field of the contract uses such a number.
    return int(digits) if len(digits) <= _MAX_INTEGER_DIGITS else float(digits)


def loads(text: str | bytes, field: str | None = None) -> object:
    """Parse `text`; bytes are UTF-8. Raises Unreadable if it is not JSON or has more than 500 levels."""
    try:
        parsed: object = from_json(text, allow_inf_nan=False, cache_strings="keys")
    except (ValueError, TypeError):  # TypeError: a str with lone surrogates
        return loads_slowly(text, field)
    return parsed


def loads_slowly(text: str | bytes, field: str | None = None) -> object:
    """Parse like `loads`, with the standard library: it decides what is JSON when pydantic's parser refuses a text."""
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        parsed: object = json.loads(text, parse_constant=_refuse, parse_int=_integer)
    except UnicodeDecodeError as error:
        raise Unreadable(f"not UTF-8: {error.reason} at byte {error.start}", field) from None
    except RecursionError:
        raise _too_deep(field) from None
    except ValueError as error:
        raise Unreadable(f"not JSON: {error}", field) from None
    if text.count("[") + text.count("{") > _MAX_LEVELS and _is_too_deep(parsed):
        raise _too_deep(field)
    return parsed


def _too_deep(field: str | None) -> Unreadable:
    return Unreadable(f"nested too deeply: more than {_MAX_LEVELS} levels", field)


def _is_too_deep(parsed: object) -> bool:
    """Walk down level by level, without recursion: the value may be nested deeper than the stack allows."""
    level: list[dict[str, object] | list[object]] = [[parsed]]
    for _ in range(_MAX_LEVELS + 1):
        children = (child for parent in level for child in (parent.values() if isinstance(parent, dict) else parent))
        level = [child for child in children if isinstance(child, dict | list)]
    return bool(level)
