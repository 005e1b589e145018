"""Strict JSON: no `NaN`, no `Infinity`, at most 500 levels. Lone surrogates are accepted: real texts contain them.

msgspec reads almost every value. It refuses lone surrogates, very long numbers and very deep nesting; the parser of the
standard library reads those, and it alone decides what is not JSON. docs/decisions/0005-parsing.md has the figures.
"""

import json
from collections.abc import Callable
from typing import Any, NoReturn

import msgspec

from projector.contract.unreadable import Unreadable

_MAX_INTEGER_DIGITS = 4300
"""The limit of msgspec, and by default of `int`."""
_MAX_LEVELS = 500
"""A fixed limit: how many levels the stack allows depends on Python's version and on the caller."""
_SHALLOW_BYTES = 2 * _MAX_LEVELS
"""A shorter text has too few brackets to be too deep."""
REFUSALS = (ValueError, RecursionError)
"""What msgspec raises for a value that it does not read."""
decode: Callable[[bytes | msgspec.Raw], Any] = msgspec.json.Decoder().decode
"""Parse bytes; raises one of REFUSALS if `loads_slowly` has to decide. It does not check the depth."""


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")


def _integer(digits: str) -> int | float:
    # int() raises for more digits than this. No field of the contract uses such a number.
    return int(digits) if len(digits) <= _MAX_INTEGER_DIGITS else float(digits)


def loads(text: str | bytes, field: str | None = None) -> object:
    """Parse `text`; bytes are UTF-8. Raises Unreadable if it is not JSON or has more than 500 levels."""
    try:
        encoded = text if isinstance(text, bytes) else text.encode()
        parsed: object = decode(encoded)
    except REFUSALS:
        return loads_slowly(text, field)
    if may_be_too_deep(encoded) and _is_too_deep(parsed):
        raise _too_deep(field)
    return parsed


def loads_slowly(text: str | bytes, field: str | None = None) -> object:
    """Parse like `loads`, with the standard library."""
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        parsed: object = json.loads(decoded, parse_constant=_refuse, parse_int=_integer)
    except UnicodeDecodeError as error:
        raise Unreadable(f"not UTF-8: {error.reason} at byte {error.start}", field) from None
    except RecursionError:
        raise _too_deep(field) from None
    except ValueError as error:
        raise Unreadable(f"not JSON: {error}", field) from None
    if decoded.count("[") + decoded.count("{") > _MAX_LEVELS and _is_too_deep(parsed):
        raise _too_deep(field)
    return parsed


def _too_deep(field: str | None) -> Unreadable:
    return Unreadable(f"nested too deeply: more than {_MAX_LEVELS} levels", field)


def is_sound(text: bytes) -> bool:
    """Check what msgspec does not check where it skips: whether `text` is UTF-8, and certainly not too deep."""
    try:
        return (text.isascii() or bool(text.decode())) and not may_be_too_deep(text)
    except UnicodeDecodeError:
        return False


def may_be_too_deep(text: bytes) -> bool:
    """Whether `text` has more opening brackets than levels are allowed.

    To delete them all and to compare the sizes is twice as fast as to count them.
    """
    if len(text) <= _SHALLOW_BYTES:
        return False
    return len(text) - len(text.replace(b"{", b"").replace(b"[", b"")) > _MAX_LEVELS


def _is_too_deep(parsed: object) -> bool:
    """Walk down level by level, without recursion: the value may be nested deeper than the stack allows."""
    level: list[dict[str, object] | list[object]] = [[parsed]]
    for _ in range(_MAX_LEVELS + 1):
        children = (child for parent in level for child in (parent.values() if isinstance(parent, dict) else parent))
        level = [child for child in children if isinstance(child, dict | list)]
    return bool(level)
