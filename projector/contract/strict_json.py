"""JSON to the letter of its standard, and with the lone surrogates that real texts contain.

Pydantic's parser reads all but a few values; it turns away surrogates, deep nesting and very long numbers, which the
standard library's reads. Decision 0005 has the figures.
"""

import json
from typing import NoReturn

from pydantic_core import from_json

from projector.contract.unreadable import Unreadable

_MOST_DIGITS = 4000
_DEEPEST = 500
"""Levels of nesting. What the stack would hold differs by version and caller, and printing takes more than parsing."""


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")


def _integer(digits: str) -> int | float:
    # int() refuses more, and no field has a use for them.
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def loads(text: str | bytes, field: str | None = None) -> object:
    """Parse `text`, UTF-8 where it is bytes. Raises Unreadable where it is not JSON, or nested in over 500 levels."""
    try:
        parsed: object = from_json(text, allow_inf_nan=False, cache_strings="keys")
    except (ValueError, TypeError):  # the latter for a text with lone surrogates
        return loads_slowly(text, field)
    return parsed


def loads_slowly(text: str | bytes, field: str | None = None) -> object:
    """As `loads`, by the standard library, which has the last word."""
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
    if text.count("[") + text.count("{") > _DEEPEST and _is_deep(parsed):
        raise _too_deep(field)
    return parsed


def _too_deep(field: str | None) -> Unreadable:
    return Unreadable(f"nested too deeply: more than {_DEEPEST} levels", field)


def _is_deep(parsed: object) -> bool:
    level: list[dict[str, object] | list[object]] = [[parsed]]
    for _ in range(_DEEPEST + 1):
        children = (child for each in level for child in (each.values() if isinstance(each, dict) else each))
        level = [child for child in children if isinstance(child, dict | list)]
    return bool(level)
