"""Read the values of columns: times, uuids, identifiers, texts.

Only the rule that uses a column validates it (events/README.md, section 3). Each function takes the value and the path
of its field, and raises Unreadable with that path.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TypeVar

from projector.contract.unreadable import Unreadable, quoted

ID_BYTES = 512
PREVIEW_BYTES = 4096
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SURROGATE = re.compile("[\ud800-\udfff]")
# fromisoformat accepts more than ISO 8601: any separator, a NUL at the end, seconds of three digits, +01:60.
_DATE = r"[0-9]{4}(?:-[0-9]{2}-[0-9]{2}|[0-9]{4}|-W[0-9]{2}(?:-[0-9])?|W[0-9]{2,3})"
_CLOCK = r"[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?|[0-9]{2}(?:[0-9]{2}(?:[.,][0-9]+)?)?)?"
_OFFSET = r"Z|[+-][0-9]{2}(?::?[0-5][0-9](?::?[0-5][0-9](?:[.,][0-9]+)?)?)?"
_TIME = re.compile(f"{_DATE}(?:[T ]{_CLOCK}(?:{_OFFSET})?)?")
USUAL_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?Z")
"""A part of `_TIME` that is matched in half the time."""
_UUID_LENGTH = 36
_UUID = re.compile("[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_T = TypeVar("_T")


def missing(field: str) -> Unreadable:
    """The error for a required field that is missing."""
    return Unreadable(f"{field} is missing", field)


def not_a_text(value: object, field: str) -> Unreadable:
    """The error for a value of another JSON type where a rule requires a text."""
    return Unreadable(f"{field} must be a text: found {quoted(value)}", field)


def required(value: _T | None, field: str) -> _T:
    """`value`; raises Unreadable if it is None."""
    if value is None:
        raise missing(field)
    return value


def text(value: object, field: str) -> str | None:
    """A text that Postgres can store; None for null and for the empty text."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise not_a_text(value, field)
    return storable(value)


def identifier(value: object, field: str) -> str | None:
    """A text that Postgres can store unchanged, of at most 512 bytes of UTF-8, so that its indexes hold it.

    None as in `text`. A replaced character could make two ids equal, so none is replaced here.
    """
    if type(value) is str and len(value) <= ID_BYTES and value.isascii() and "\0" not in value:
        return value or None  # almost every id
    found = text(value, field)
    if found is not None and found != value:
        raise Unreadable(f"{field} must not contain U+0000 or a lone surrogate: found {quoted(value)}", field)
    if found is not None and (size := len(found.encode())) > ID_BYTES:
        raise Unreadable(f"{field} has {size} bytes: the maximum is {ID_BYTES}", field)
    return found


def uuid(value: object, field: str) -> str | None:
    """A uuid as lower-case text of 36 characters; None for null."""
    if value is None:
        return None
    found = lower_uuid(value) if isinstance(value, str) else None
    if found is None:
        raise Unreadable(f"{field} must be a uuid: found {quoted(value)}", field)
    return found


@lru_cache(maxsize=8192)  # few callers and callees appear in most of the records
def lower_uuid(value: str) -> str | None:
    """A uuid as lower-case text; None if it is malformed."""
    return value.lower() if len(value) == _UUID_LENGTH and _UUID.fullmatch(value) else None


def time(value: object, field: str) -> datetime | None:
    """An instant in UTC: an ISO 8601 text, where no offset means UTC, or a whole number since 1970; None for null."""
    if value is None:
        return None
    if not isinstance(value, str):
        return _time_of_number(value, field)
    try:
        if not USUAL_TIME.fullmatch(value) and not _TIME.fullmatch(value):
            raise ValueError
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is UTC:
            return instant
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unreadable(
            f"{field} must be an ISO 8601 time of the years 1 to 9999: found {quoted(value)}", field
        ) from None


def _time_of_number(value: object, field: str) -> datetime:
    """Milliseconds, microseconds or nanoseconds since 1970. The size of the number decides."""
    if isinstance(value, int) and 10**11 <= value < 10**20:
        us = value * 1000 if value < 10**14 else value if value < 10**17 else value // 1000
        return _EPOCH + timedelta(microseconds=us)
    raise Unreadable(
        f"{field} must be an ISO 8601 time as text, or whole ms, µs or ns since 1970: found {quoted(value)}", field
    )


def epoch_ms(value: object, field: str) -> datetime | None:
    """An instant in UTC from whole milliseconds since 1970; None for null."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unreadable(f"{field} must be whole milliseconds since 1970: found {quoted(value)}", field)
    try:
        return _EPOCH + timedelta(milliseconds=value)
    except OverflowError:
        raise Unreadable(f"{field} must be within the years 1 to 9999: found {value} ms", field) from None


def recorded_at(timestamp: int | None) -> datetime | None:
    """A record's own timestamp (ms since 1970) as an instant in UTC; None if it is missing, negative or too large."""
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
    """The start of a text: storable, at most 4,096 bytes of UTF-8, not cut inside a character; None as in `text`."""
    if not value and (value is None or value == ""):
        return None
    if not isinstance(value, str):
        raise not_a_text(value, field)
    if value.isascii() and len(value) <= PREVIEW_BYTES and "\0" not in value:
        return value
    start = value[:PREVIEW_BYTES]
    try:
        encoded = start.encode()  # several times faster than to search the text for lone surrogates
    except UnicodeEncodeError:
        start = _SURROGATE.sub("\ufffd", start)
        encoded = start.encode()
    if b"\0" in encoded:
        encoded = encoded.replace(b"\0", b"\xef\xbf\xbd")
    elif len(encoded) <= PREVIEW_BYTES:
        return start
    return encoded[:PREVIEW_BYTES].decode(errors="ignore")
