"""Redaction: replaces free text by pseudonyms, so that each record still ends in the same outcome.

A value is parsed, redacted and written again as compact ASCII JSON. Numbers keep the value that the parser reads. If a
name occurs twice in an object, only the last field is kept: the parser reads no other. Wrappings stay, and what is in
them is redacted too.
"""

import base64
import hashlib
import itertools
import json
import re
from collections.abc import Callable
from enum import IntEnum

from projector.contract import fields, strict_json, wrappings
from projector.contract.envelope import BODY_FIELDS, TABLE, UNAVAILABLE_VALUE
from projector.contract.unreadable import Unreadable
from projector.recordings.file import RecordedRecord

# No rule can read a text of these letters as a word, time, uuid or JSON. After a backslash, none of them is an escape.
_LETTERS = b"BCDFGHJKLMNPQRSTVWXZghjklpqsvwxz"
_LETTER_OF_BYTE = bytes(_LETTERS[byte % 32] for byte in range(256))
# The other characters stay, because the size of a text depends on them: JSON escapes them, or Postgres replaces them.
_REPLACED = re.compile(r'[^\x00-\x1f"\\\ud800-\udfff]+')
_KEY_LETTERS = 16  # 80 bits: of n different idempotency keys, two get one pseudonym with a probability below n² / 2^81

_COLUMN = re.compile("[A-Za-z_][A-Za-z0-9_]{0,62}")
_WORD = re.compile(r"[a-z][a-z0-9_/.-]{0,39}|BEGIN|END|1\.0")
_WORDS = {"activity_type", "method", "status", "__op", "__deleted"}
_MARKERS = {"op", "specversion"}
_TIMES = {"time", "deadline", "silent_since"}
_INFINITY = re.compile(r'("(?:[^"\\]|\\.)*")|Infinity')


class Shape(IntEnum):
    """What an object is, which decides what in it is safe. A shape also has the parts of the shapes before it."""

    OPAQUE = 0  # nothing is safe
    BODY = 1  # the names that rules read, ids and times
    ROW = 2  # names of columns; ids, times and the words that rules compare
    DATA = 3  # the data of a CloudEvent: a row, or a change event, which no rule reads
    ENVELOPE = 4  # as in a row, and markers; it has rows in it
    VALUE = 5  # the whole value, an envelope or a pair of schema and payload

    def part(self, name: str) -> "Shape":
        """The shape of an object in the field `name`."""
        match name:
            case "request_body" | "response_body" if self >= Shape.ROW:
                return Shape.BODY
            case "before" | "after" | "source" if self >= Shape.ENVELOPE:
                return Shape.ROW
            case "data" if self >= Shape.ENVELOPE:
                return Shape.DATA
            case "payload" if self is Shape.DATA:
                return Shape.ROW
            case "payload" if self is Shape.VALUE:
                return Shape.ENVELOPE
        return Shape.OPAQUE


class Redaction:
    """Redacts records. Under the same key, the same text gets the same pseudonym."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.blake2b(key).digest()

    def redacted(self, record: RecordedRecord) -> RecordedRecord:
        """The record with its key and value redacted. A key that is a uuid stays."""
        key, value = record.key, record.value
        if key is not None and not _accepts(fields.uuid, key.decode(errors="replace").strip('"')):
            key = self._content(key)
        return record._replace(key=key, value=None if value is None else self._content(value))

    def _content(self, content: bytes) -> bytes:
        """JSON stays JSON. Other bytes become as many letters, which are not UTF-8 if the bytes were not."""
        if wrappings.has_head(content):
            return bytes(wrappings.HEAD_BYTES) + self._content(content[wrappings.HEAD_BYTES :])
        try:
            value = strict_json.loads(content)
        except Unreadable:
            letters = self._letters(content, len(content)).encode()
            return letters if content.decode(errors="ignore").encode() == content else b"\xff" + letters[1:]
        redacted = self._json_text(value) if isinstance(value, str) else self._value(value, Shape.VALUE)
        return _dumps(redacted, ensure_ascii=True).encode()

    def _json_text(self, text: str) -> str:
        """A text that is the whole value. It means something if it contains an object or null."""
        try:
            value = strict_json.loads(text)
        except Unreadable:
            return self._pseudonym(text)
        if value is None or isinstance(value, dict):
            return _dumps(self._value(value, Shape.VALUE), ensure_ascii=True)
        return self._pseudonym(text)

    def _base64(self, text: str) -> str:
        """Data in base64 stays JSON in base64. Other texts become letters that are no base64."""
        try:
            value = wrappings.cloud_event_data({"data_base64": text})
        except Unreadable:
            return "-" + self._pseudonym(text)
        return base64.b64encode(_dumps(self._value(value, Shape.DATA), ensure_ascii=True).encode()).decode()

    def _value(self, value: object, shape: Shape) -> object:
        """A parsed value, redacted. If it is an object, it has this shape."""
        if isinstance(value, str):
            return self._pseudonym(value)
        if isinstance(value, list):  # not a comprehension: 500 levels fit on the stack only with one frame per level
            return [*map(self._value, value, itertools.repeat(Shape.OPAQUE))]
        if not isinstance(value, dict):
            return value
        if shape > Shape.ROW and "activity_type" in value:
            shape = Shape.ROW
        redacted: dict[str, object] = {}
        for name, content in value.items():
            field = name if _is_safe_name(name, shape) else self._name(name, value, redacted)
            is_text = isinstance(content, str)
            redacted[field] = self._text(content, shape, name) if is_text else self._value(content, shape.part(name))
        return redacted

    def _name(self, name: str, *taken: dict[str, object]) -> str:
        """A pseudonym that no field has, as long as `name` is in JSON; longer if all short ones may be taken."""
        size = len(_utf8(json.dumps(name, ensure_ascii=False))) - 2
        candidates = (self._letters(_utf8(f"{n} {name}"), size + n // 32) for n in itertools.count())
        return next(each for each in candidates if not any(each in names for names in taken))

    def _text(self, text: str, shape: Shape, name: str) -> str:
        """What replaces the text in the field `name`. A column of JSON is redacted inside, then padded to its size."""
        if not text or text == UNAVAILABLE_VALUE or _is_safe_text(text, shape, name):
            return text
        if shape < Shape.ROW:
            return self._pseudonym(text)
        if name == "idempotency_key" and _accepts(fields.identifier, text):
            return self._letters(text.encode(), max(len(text.encode()), _KEY_LETTERS))
        if name == "data_base64" and shape >= Shape.ENVELOPE:
            return self._base64(text)
        try:
            value = strict_json.loads(text)
        except Unreadable:
            return self._pseudonym(text)
        part = shape.part(name)
        if part is Shape.OPAQUE and not isinstance(value, dict | list):
            return self._pseudonym(text)  # for example a number in a column of text
        redacted = _dumps(self._value(value, part), ensure_ascii=False)
        return redacted + " " * (len(_utf8(text)) - len(_utf8(redacted)))

    def _pseudonym(self, text: str) -> str:
        """Letters, as many as the text has bytes of UTF-8. Two short texts may get the same pseudonym."""
        content = _utf8(text)
        letters = iter(self._letters(content, len(content)))
        return _REPLACED.sub(lambda run: "".join(itertools.islice(letters, len(run[0].encode()))), text)

    def _letters(self, content: bytes, size: int) -> str:
        """The keyed hash of the content as 64 letters, repeated or cut to the size."""
        letters = hashlib.blake2b(content, key=self._key).digest().translate(_LETTER_OF_BYTE).decode()
        return (letters * (size // 64 + 1))[:size]


def _is_safe_name(name: str, shape: Shape) -> bool:
    if shape >= Shape.ROW:
        return bool(_COLUMN.fullmatch(name))
    return not name or (shape is Shape.BODY and name in BODY_FIELDS)


def _is_safe_text(text: str, shape: Shape, name: str) -> bool:
    """Whether the text in a field is an id, a time, or a word that a rule compares."""
    if not _is_safe_name(name, shape):
        return False
    if name in _WORDS or (name in _MARKERS and shape >= Shape.ENVELOPE):
        return bool(_WORD.fullmatch(text))
    if name == "table":
        return text == TABLE
    if name == "delegation_id":
        return _accepts(fields.identifier, text)
    if name == "id" or name.endswith("_id"):
        return _accepts(fields.uuid, text)
    return (name in _TIMES or name.endswith("_at")) and _accepts(fields.time, text)


def _accepts(rule: Callable[[object, str], object], text: str) -> bool:
    try:
        return rule(text, "") is not None
    except Unreadable:
        return False


def _utf8(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _dumps(value: object, *, ensure_ascii: bool) -> str:
    """Compact JSON. The parser reads a number that is too large as infinity; infinity is written as such a number."""
    text = json.dumps(value, ensure_ascii=ensure_ascii, separators=(",", ":"))
    return _INFINITY.sub(lambda found: found[1] or "1e999999", text) if "Infinity" in text else text
