"""JSON to the letter of its standard, for the values that the fast parser turns away."""

import json
from typing import NoReturn

from events.unreadable import Unreadable

_SAFE_DIGITS = 18
_DEEPEST = 500
"""Levels of nesting. What the stack would hold differs by version and caller, and printing takes more than parsing."""


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")


def _integer(digits: str) -> int | float:
    # Longer ones are beyond every field's range, and int() refuses thousands of digits.
    return int(digits) if len(digits) <= _SAFE_DIGITS else float(digits)


def loads(text: str | bytes, field: str | None = None) -> object:
    """Parse `text`; lone surrogates are let through, as real texts contain them.

    Raises Unreadable where it is not JSON, not UTF-8, or nested in more than 500 levels.
    """
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
