"""Parses JSON and fields strictly, without code of `projector`."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

ID_LIMIT_BYTES = 512
UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    if content is None:
        return None
    if not isinstance(content, str):
        raise Unreadable(f"{field} is no text")
    return UNSTORABLE.sub("\ufffd", content) or None


def identifier(content: Any, field: str) -> str | None:
    text = text_or_none(content, field)
    if text is not None and len(text.encode()) > ID_LIMIT_BYTES:
        raise Unreadable(f"{field} is too long")
    return text


def uuid_text(content: Any, field: str) -> str:
    if not isinstance(content, str) or not UUID.fullmatch(content):
        raise Unreadable(f"{field} is no uuid")
    return content.lower()


def first_time(candidates: list[tuple[str, Any]]) -> datetime:
    for kind, content in candidates:
        if content is not None:
            return iso_time(content) if kind == "iso" else ms_time(content)
    raise Unreadable("no time at all")


def iso_time(content: Any) -> datetime:
    if not isinstance(content, str):
        raise Unreadable("a time is no text")
    # the parser itself takes any separator, and worse
    if set(content) - set("0123456789-:.,+TWZ ") or (len(content) > 10 and not set(content) & {"T", " "}):
        raise Unreadable("a malformed time")
    try:
        time = datetime.fromisoformat(content)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError) as reason:
        raise Unreadable("a malformed time") from reason


def ms_time(content: Any) -> datetime:
    if not isinstance(content, int) or isinstance(content, bool):
        raise Unreadable("a time is no whole number")
    try:
        return EPOCH + timedelta(milliseconds=content)
    except OverflowError as reason:
        raise Unreadable("a time out of range") from reason
