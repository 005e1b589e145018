"""What of a record is safe to show, by where it stands: ids, times, and the words and names that tell records apart."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from projector.contract import fields
from projector.contract.envelope import Body
from projector.contract.unreadable import Unreadable

_COLUMN = re.compile("[A-Za-z_][A-Za-z0-9_]{0,62}")
_WORD = re.compile("[a-z][a-z0-9]*(?:[_/.-][a-z0-9]+)*|BEGIN|END")
_WORD_LENGTH = 40
_VERSION = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,4}){0,3}")
_FAR_TIME = re.compile(r"[+-]?(?:infinity|[0-9]{4,6}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]{2,16}(?:Z|[+-][0-9:]{2,5})?)?)")
_CONNECT_TYPE = re.compile(r"(?:io\.debezium|org\.apache\.kafka\.connect)\.[A-Za-z.]{1,60}")

_WORDS = {"activity_type", "method", "status", "op", "__op", "__deleted", "connector", "snapshot"}


class Part(NamedTuple):
    """What kind of object one within a value is, and so which of its names and texts are safe."""

    is_safe_name: Callable[[str], bool]
    is_safe_text: Callable[[str, str], bool]
    """Of a name and the text that stands under it."""
    parts: Mapping[str, "Part"] = {}
    is_row: bool = False


def _no_name(name: str) -> bool:
    return False


def _is_column(name: str) -> bool:
    return bool(_COLUMN.fullmatch(name))


def _no_text(name: str, text: str) -> bool:
    return False


def _is_safe_in_row(name: str, text: str) -> bool:
    if name in _WORDS:
        return len(text) <= _WORD_LENGTH and bool(_WORD.fullmatch(text))
    if name == "id" or name.endswith("_id"):
        return is_uuid(text)
    if name == "specversion":
        return bool(_VERSION.fullmatch(text))
    return (name == "time" or name.endswith("_at")) and _is_time(text)


def _is_safe_in_body(name: str, text: str) -> bool:
    if name == "delegation_id":
        return _reads(fields.identifier, text)
    return name == "deadline" and _is_time(text)


def _is_safe_in_schema(name: str, text: str) -> bool:
    if name == "name":
        return bool(_CONNECT_TYPE.fullmatch(text))
    return name in ("type", "field") and _is_column(text)


def _is_time(text: str) -> bool:
    return _reads(fields.time, text) or bool(_FAR_TIME.fullmatch(text))


def is_uuid(text: str) -> bool:
    """Whether a text is a uuid, of either case."""
    return _reads(fields.uuid, text)


def _reads(rule: Callable[[object, str], object], text: str) -> bool:
    try:
        return rule(text, "") is not None
    except Unreadable:
        return False


OPAQUE = Part(_no_name, _no_text)
_BODY = Part(Body.__annotations__.__contains__, _is_safe_in_body)
_ROW = Part(_is_column, _is_safe_in_row, {"request_body": _BODY, "response_body": _BODY}, is_row=True)
SCHEMA = Part(_is_column, _is_safe_in_schema)
PLAIN = _ROW._replace(parts={})
_CHANGE = PLAIN._replace(parts={"before": _ROW, "after": _ROW, "source": PLAIN})
_CLOUD_EVENT = PLAIN._replace(parts={"data": _ROW})


def part_of(value: object) -> Part:
    """Which envelope a value is, as `events.envelope` tells them apart."""
    part = _envelope(value)
    if part is PLAIN and isinstance(value, dict) and "schema" in value and "payload" in value:
        return PLAIN._replace(parts={"schema": SCHEMA, "payload": _envelope(value["payload"])})
    return part


def _envelope(value: object) -> Part:
    if not isinstance(value, dict):
        return PLAIN
    if value.get("op") is not None:
        return _CHANGE
    if value.get("specversion") is not None:
        return _CLOUD_EVENT
    return _ROW if "activity_type" in value else PLAIN
