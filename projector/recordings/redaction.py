"""Redaction: a record that ends as it did, with pseudonyms for whatever is not known to be safe.

A value is not parsed and written again: its texts are replaced where they stand, so that numbers, spaces, escapes and
sizes are those of the original.
"""

import json
import re

from projector.contract import strict_json
from projector.contract.envelope import UNAVAILABLE_VALUE
from projector.contract.unreadable import Unreadable
from projector.recordings.file import RecordedRecord
from projector.recordings.pseudonyms import Pseudonyms
from projector.recordings.safe import OPAQUE, SCHEMA, Part, is_uuid, part_of

_TOKEN = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}\[\]]')
_UNIT = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]+",
    re.DOTALL,
)


class Redaction:
    """Redacts records; the same text becomes the same pseudonym under the same key."""

    def __init__(self, key: bytes) -> None:
        self._pseudonyms = Pseudonyms(key)

    def redacted(self, record: RecordedRecord) -> RecordedRecord:
        """The record at its place, with its key and its value redacted."""
        return record._replace(key=self._key(record.key), value=self._value(record.value))

    def _value(self, value: bytes | None) -> bytes | None:
        if value is None:
            return None
        try:
            part = part_of(strict_json.loads(value))
        except Unreadable:
            return self._pseudonyms.filler(value)
        return self.json(value.decode(), part).encode()

    def _key(self, key: bytes | None) -> bytes | None:
        """A key is read by nobody; that of a change feed is JSON of the row's ids."""
        if key is None or is_uuid(key.decode(errors="replace").strip('"')):
            return key
        return self._value(key)

    def json(self, text: str, part: Part) -> str:
        """A text of JSON, redacted; an object at its top is of the kind `part`."""
        return _TOKEN.sub(_Walk(self, part), text)

    def text(self, part: Part, name: str, text: str) -> str:
        """What stands for a text under a name, which is empty within a list and at the top."""
        if not text or text == UNAVAILABLE_VALUE or part.is_safe_text(name, text):
            return text
        if part.is_row and name == "idempotency_key":
            return self._pseudonyms.of_name(text, UNAVAILABLE_VALUE.__eq__)
        inner = part.parts.get(name) if part.is_row else None
        if (inner or (part.is_row and text[0] in "{[")) and _is_json(text):
            return self.json(text, inner or OPAQUE)
        return self._pseudonyms.of_text(text)

    def name(self, part: Part, name: str) -> str:
        """What stands for the name of a field."""
        return name if part.is_safe_name(name) else self._pseudonyms.of_name(name, part.is_safe_name)


def _is_json(text: str) -> bool:
    try:
        strict_json.loads(text)
    except Unreadable:
        return False
    return True


class _Walk:
    """Goes from token to token through a text of JSON, and knows which object it is in and under which name."""

    def __init__(self, redaction: Redaction, part: Part) -> None:
        self._redaction = redaction
        self._within = [part]
        self._names = [""]

    def __call__(self, found: re.Match[str]) -> str:
        if (mark := found[0]) in "{[":
            self._within.append(self._inner())
            self._names.append("")
        elif mark in "}]":
            self._within.pop()
            self._names.pop()
        else:
            return self._string(found[1], found[2])
        return mark

    def _inner(self) -> Part:
        part, name = self._within[-1], self._names[-1]
        return part.parts.get(name, part if not name or part is SCHEMA else OPAQUE)

    def _string(self, token: str, colon: str | None) -> str:
        part = self._within[-1]
        text: str = json.loads(token) if "\\" in token else token[1:-1]
        if colon is not None:
            self._names[-1] = text
            return _written(token, text, self._redaction.name(part, text)) + colon
        return _written(token, text, self._redaction.text(part, self._names[-1], text))


def _written(token: str, text: str, instead: str) -> str:
    """A JSON string with other characters one by one, each escaped as the one was that stood there."""
    if instead == text:
        return token
    at = 0

    def unit(found: re.Match[str]) -> str:
        nonlocal at
        was = found[0]
        size = 1 if was[0] == "\\" else len(was)
        piece = instead[at : at + size]
        at += size
        return _escaped(was, piece) if was[0] == "\\" else piece

    return f'"{_UNIT.sub(unit, token[1:-1])}"'


def _escaped(was: str, char: str) -> str:
    if was[1] != "u":
        return "\\" + char if char in '"\\' else was
    units = char.encode("utf-16-be", errors="surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
