"""JSON to the letter of its standard, for the values that the fast parser turns away."""

import json
from typing import NoReturn

from events.unreadable import Unreadable

_SAFE_DIGITS = 18


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")


def _integer(digits: str) -> int | float:
    # Longer ones are beyond every field's range, and int() refuses thousands of digits.
    return int(digits) if len(digits) <= _SAFE_DIGITS else float(digits)


def loads(text: str | bytes, field: str | None = None) -> object:
    """Parse `text`; lone surrogates are let through, as real texts contain them.

    Raises Unreadable where it is not JSON, not UTF-8, or nested beyond what the interpreter's stack holds.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        parsed: object = json.loads(text, parse_constant=_refuse, parse_int=_integer)
    except UnicodeDecodeError as error:
        raise Unreadable(f"not UTF-8: {error.reason} at byte {error.start}", field) from None
    except RecursionError:
        raise Unreadable("not readable: nested too deeply", field) from None
    except ValueError as error:
        raise Unreadable(f"not JSON: {error}", field) from None
    return parsed
