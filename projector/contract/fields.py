"""Values out of a row's columns, checked by the rule that uses them; each raises Unreadable with the field's path."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TypeVar

from projector.contract.unreadable import Unreadable, shown

ID_BYTES = 512
PREVIEW_BYTES = 4096
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SURROGATE = re.compile("[\ud800-\udfff]")
# What fromisoformat also takes: any separator at all, even NUL at the end, and fifty digits in a row.
_TIME = re.compile("[0-9W-]{7,10}(?:[T ][0-9:.,Z+-]+)?")
_UUID_LENGTH = 36
_UUID = re.compile("[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


_T = TypeVar("_T")


def missing(field: str) -> Unreadable:
    """The dead letter of a row without a field that its method requires."""
    return Unreadable(f"{field} is missing", field)


def not_a_text(value: object, field: str) -> Unreadable:
    """The dead letter of a row with something else where a rule wants a text."""
    return Unreadable(f"{field} must be a text: found {shown(value)}", field)


def required(value: _T | None, field: str) -> _T:
    """`value`, where there must be one."""
    if value is None:
        raise missing(field)
    return value


def text(value: object, field: str) -> str | None:
    """A text, storable in Postgres; None for null and for the empty text."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise not_a_text(value, field)
    return storable(value)


def identifier(value: object, field: str) -> str | None:
    """A text of at most 512 bytes of UTF-8, as an index can hold it."""
    found = text(value, field)
    if found is not None and len(found) * 4 > ID_BYTES and (size := len(found.encode())) > ID_BYTES:
        raise Unreadable(f"{field} has {size} bytes: at most {ID_BYTES} fit", field)
    return found


def uuid(value: object, field: str) -> str | None:
    """A uuid as lower-case text of 36 characters; None for null."""
    if value is None:
        return None
    found = _uuid(value) if isinstance(value, str) else None
    if found is None:
        raise Unreadable(f"{field} must be a uuid: found {shown(value)}", field)
    return found


@lru_cache(maxsize=8192)  # the same callers and callees come again and again
def _uuid(value: str) -> str | None:
    return value.lower() if len(value) == _UUID_LENGTH and _UUID.fullmatch(value) else None


def time(value: object, field: str) -> datetime | None:
    """An instant from ISO 8601 text, in UTC; no offset means UTC; None for null."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise Unreadable(f"{field} must be a time as text: found {shown(value)}", field)
    try:
        if not _TIME.fullmatch(value):
            raise ValueError
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is UTC:
            return instant
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unreadable(
            f"{field} must be an ISO 8601 time of the years 1 to 9999: found {shown(value)}", field
        ) from None


def epoch_ms(value: object, field: str) -> datetime | None:
    """An instant from whole milliseconds since 1970, in UTC; None for null."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unreadable(f"{field} must be whole milliseconds since 1970: found {shown(value)}", field)
    try:
        return _EPOCH + timedelta(milliseconds=value)
    except OverflowError:
        raise Unreadable(f"{field} must be within the years 1 to 9999: found {value} ms", field) from None


def recorded_at(timestamp: int | None) -> datetime | None:
    """A record's own timestamp, in ms since 1970, as an instant in UTC; None where it has none, or one out of range."""
    if timestamp is None or timestamp < 0:
        return None
    try:
        return epoch_ms(timestamp, "timestamp")
    except Unreadable:
        return None


def storable(value: str) -> str:
    """`value` with U+0000, which Postgres cannot store, and lone surrogates replaced by U+FFFD."""
    if "\0" in value:
        value = value.replace("\0", "\ufffd")
    return value if value.isascii() else _SURROGATE.sub("\ufffd", value)


def preview(value: object, field: str) -> str | None:
    """The start of a text, storable, at most 4,096 bytes of UTF-8, never cut inside a character; None as in `text`."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise not_a_text(value, field)
    start = value[:PREVIEW_BYTES].replace("\0", "\ufffd")
    if start.isascii():
        return start
    try:
        encoded = start.encode()  # several times as fast as to look for the surrogates that it would refuse
    except UnicodeEncodeError:
        start = _SURROGATE.sub("\ufffd", start)
        encoded = start.encode()
    return start if len(encoded) <= PREVIEW_BYTES else encoded[:PREVIEW_BYTES].decode(errors="ignore")
