"""Parses JSON and fields strictly, without code of `projector`."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

ID_LIMIT_BYTES = 512
UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_DATE = r"(\d{4}-\d\d-\d\d|\d{8}|\d{4}-W\d\d(-\d)?|\d{4}W\d\d\d?)"
_HOUR, _SIXTY, _FRACTION = r"([01]\d|2[0-3])", r"[0-5]\d", r"([.,]\d+)?"
_CLOCK = (
    rf"({_HOUR}(:{_SIXTY}(:{_SIXTY}{_FRACTION})?)?|{_HOUR}({_SIXTY}({_SIXTY}{_FRACTION})?)?)"  # 10:00:00.5 or 100000.5
)
ISO_TIME = re.compile(rf"{_DATE}([T ]{_CLOCK}(Z|[+-]{_CLOCK})?)?", re.ASCII)


class Unreadable(Exception):
    """The record is a dead letter; the message has the reason."""


def strict_json(text: str | bytes, field: str = "value") -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    def whole(digits: str) -> int | float:
        return int(digits) if len(digits) < 4000 else float(digits)

    try:
        text = text.decode() if isinstance(text, bytes) else text
        return json.loads(text, parse_constant=refuse, parse_int=whole)
    except (ValueError, RecursionError) as reason:
        raise Unreadable(f"{field} is not JSON") from reason


def text_or_none(content: Any, field: str) -> str | None:
    """Return a text as Postgres can store it; None if it is empty."""
    if content is None:
        return None
    if not isinstance(content, str):
        raise Unreadable(f"{field} is no text")
    return UNSTORABLE.sub("\ufffd", content) or None


def identifier(content: Any, field: str) -> str | None:
    """Return an id or an idempotency key as it came: no two of them may become equal."""
    if content is None or content == "":
        return None
    if not isinstance(content, str) or UNSTORABLE.search(content):
        raise Unreadable(f"{field} is no text that Postgres can store")
    if len(content.encode()) > ID_LIMIT_BYTES:
        raise Unreadable(f"{field} is too long")
    return content


def uuid_text(content: Any, field: str) -> str:
    if not isinstance(content, str) or not UUID.fullmatch(content):
        raise Unreadable(f"{field} is no uuid")
    return content.lower()


Candidate = tuple[Callable[[Any], datetime], Any]
"""A value that can be the time, with the function that reads it."""


def first_time(candidates: list[Candidate]) -> datetime:
    """Return the first candidate that is there."""
    for read, content in candidates:
        if content is not None:
            return read(content)
    raise Unreadable("no time at all")


def column_time(content: Any) -> datetime:
    """Read an ISO 8601 text, or a whole number of ms, µs or ns since 1970."""
    if isinstance(content, str):
        return _iso_time(content)
    if not isinstance(content, int) or isinstance(content, bool) or not 10**11 <= content < 10**20:
        raise Unreadable("a time is neither a text nor a whole number of ms, µs or ns")
    if content < 10**14:
        return EPOCH + timedelta(milliseconds=content)
    return EPOCH + timedelta(microseconds=content if content < 10**17 else content // 1000)


def _iso_time(text: str) -> datetime:
    if not ISO_TIME.fullmatch(text):
        raise Unreadable("a malformed time")
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError) as reason:
        raise Unreadable("a malformed time") from reason


def ms_time(content: Any) -> datetime:
    """Read the time of an envelope or of a record: whole milliseconds since 1970."""
    if not isinstance(content, int) or isinstance(content, bool):
        raise Unreadable("a time is no whole number")
    try:
        return EPOCH + timedelta(milliseconds=content)
    except OverflowError as reason:
        raise Unreadable("a time out of range") from reason
