"""The search: selects the records that belong to one delegation. No SQL, no Kafka, no clock."""

import json
import re
from base64 import b64decode
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

from projector.contract.envelope import UNAVAILABLE_VALUE, Activity, Record, open_value
from projector.contract.facts import NoEvent, Translation
from projector.contract.translate import row_never_seen, translate
from projector.contract.unreadable import Unreadable
from projector.domain.fold import DeadLetter, TranslatedBatch, TranslatedRecord, resolve_unavailable

Key: TypeAlias = tuple[str, str]
"""A caller's id and one of its idempotency keys."""
Meaning: TypeAlias = Translation | NoEvent | DeadLetter
"""What a record is: an event of a delegation, no event (the reason why), or a dead letter."""

_ESCAPED_ASCII = tuple(rb"\u00%x" % sixteen for sixteen in range(2, 8))
"""How the JSON escape of a printable ASCII character begins. Escapes of other characters are common in texts."""
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/]))')
_LEVELS = 3
"""How deep an id can be escaped: a value can be a JSON text that holds a row, and a jsonb column of it another one."""
_BASE64 = re.compile(r'"data_base64"\s*:\s*"([A-Za-z0-9+/]*)')
_COMMON_WORD = re.compile(r"[0-9A-Za-z_]{1,7}")
"""An id that free texts and times can contain by chance. It counts only as a whole JSON text."""


class Match(NamedTuple):
    """A record that belongs to the delegation, and its meaning."""

    record: Record
    meaning: Meaning


class Search:
    """Selects from the records it scans, in log order, those that belong to one delegation.

    These are:

    - the events of the delegation, found by its id or, if the body is unavailable, by the id of the activity row;
    - records that contain the id but are no event: unrelated or uncorrelated rows, tombstones and dead letters;
    - requests of other delegations that compete for one of `keys`.
    """

    def __init__(
        self, delegation_id: str, *, large_rows: Mapping[str, str] | None = None, keys: Iterable[Key] = ()
    ) -> None:
        """`large_rows`: activity row id → delegation id, as the table `large_rows` holds them now.

        They resolve updates whose whole row is no longer in the topic. If the whole row comes later in the records,
        the projector did not know it before, and earlier updates of that row are dead letters.
        """
        self.delegation_id = delegation_id
        self.keys = frozenset(keys)
        self.matches: list[Match] = []
        self.records = 0
        self._stored_rows = {row: owner for row, owner in (large_rows or {}).items() if owner == self.delegation_id}
        self._scanned_rows: dict[str, str] = {}
        self._provisional: dict[str, list[int]] = {}
        """Activity row id → places in `matches` that were resolved by a stored row."""
        self.row_ids = set(self._stored_rows)
        self._needles = _needles(self.delegation_id, *(key for _, key in self.keys))
        around = ('"', '"') if is_common_word(delegation_id) else (r"(?<![\w-])", r"(?![\w-])")
        self._whole_id = re.compile(re.escape(delegation_id).join(around))

    def scan(self, records: Iterable[Record]) -> None:
        """Examine more records. The records of each partition must come in the order of their offsets."""
        needles = self._needles
        for record in records:
            self.records += 1
            value = record.value
            if value is not None:
                # Most records are of other delegations. A search in the bytes avoids parsing them.
                for needle in needles:
                    if needle in value:
                        self._examine(record, value)
                        break

    def requests(self) -> list[TranslatedRecord]:
        """The requests of the delegation itself, without those that compete for its key."""
        return [
            TranslatedRecord(record, meaning)
            for record, meaning in self.matches
            if isinstance(meaning, Translation) and meaning.request and self._is_about_delegation(meaning)
        ]

    def unknown_keys(self) -> frozenset[Key]:
        """The idempotency keys that the delegation requested and that are not in `keys`."""
        requests = [found.translation.request for found in self.requests()]
        return frozenset(
            (request.caller_id, request.idempotency_key) for request in requests if request and request.idempotency_key
        ).difference(self.keys)

    def is_mentioned(self, value: bytes) -> bool:
        """Whether the value contains the id as a whole word, escaped or not, or the id of one of its activity rows."""
        text = _with_decoded(value.decode(errors="replace"))
        for _ in range(_LEVELS + 1):
            if self._whole_id.search(text) or any(row_id in text for row_id in self.row_ids):
                return True
            if "\\" not in text:
                break
            text = _unescaped(text)
        return False

    def _examine(self, record: Record, value: bytes) -> None:
        try:
            meaning: Meaning | None = translate(record)
        except Unreadable as error:
            meaning = DeadLetter(record, error.reason, error.field)
        if isinstance(meaning, Translation):
            meaning = self._select(record, meaning)
        elif not self.is_mentioned(value):
            meaning = None
        if meaning is not None:
            self.matches.append(Match(record, meaning))

    def _select(self, record: Record, translation: Translation) -> Translation | DeadLetter | None:
        """The translation if it belongs to the delegation, with its unavailable body resolved; None otherwise."""
        if not self._is_about_delegation(translation):
            return translation if self._competes_for_key(translation) else None
        self._add_row_id(record)
        if translation.unavailable_row_id is None and translation.large_row_id in self._provisional:
            self._retract(self._provisional.pop(translation.large_row_id))
        batch = TranslatedBatch([TranslatedRecord(record, translation)], [], Counter())
        resolved = resolve_unavailable(batch, self._large_rows_for(translation))
        return resolved.records[0].translation if resolved.records else resolved.dead_letters[0]

    def _large_rows_for(self, translation: Translation) -> dict[str, str]:
        """The rows that the records have shown whole; provisionally the stored ones, if this row is not among them."""
        row_id = translation.unavailable_row_id
        if row_id is None or row_id in self._scanned_rows or row_id not in self._stored_rows:
            return self._scanned_rows
        self._provisional.setdefault(row_id, []).append(len(self.matches))
        return dict(self._stored_rows)

    def _retract(self, places: Iterable[int]) -> None:
        """Turn provisional matches into dead letters: their row comes whole only now, after them."""
        error = row_never_seen()
        for place in places:
            record = self.matches[place].record
            self.matches[place] = Match(record, DeadLetter(record, error.reason, error.field))

    def _is_about_delegation(self, translation: Translation) -> bool:
        return translation.delegation_id == self.delegation_id or (
            not translation.delegation_id and translation.unavailable_row_id in self.row_ids
        )

    def _competes_for_key(self, translation: Translation) -> bool:
        request = translation.request
        if request is None or request.idempotency_key is None or not translation.delegation_id:
            return False
        return translation.unavailable_row_id is None and (request.caller_id, request.idempotency_key) in self.keys

    def _add_row_id(self, record: Record) -> None:
        activity = open_value(record.value)
        row_id = activity.row.get("id") if isinstance(activity, Activity) else None
        if isinstance(row_id, str) and row_id:
            self.row_ids.add(row_id.lower())


def is_common_word(delegation_id: str) -> bool:
    """Whether other texts can contain the id by chance, as they contain `42`."""
    return _COMMON_WORD.fullmatch(delegation_id) is not None


def spellings(text: str) -> list[bytes]:
    """The spellings of a text in JSON: unescaped, and with lower-case or upper-case escapes.

    A common word counts only as a whole JSON text, so it has its quotes around it, escaped or not.
    """
    if is_common_word(text):
        return [f"{quote}{text}{quote}".encode() for quote in ('"', r"\"")]
    escaped = json.dumps(text)[1:-1]
    upper = re.sub(r"\\u[0-9a-f]{4}", lambda escape: r"\u" + escape[0][2:].upper(), escaped)
    return [spelling.encode(errors="replace") for spelling in dict.fromkeys((text, escaped, upper))]


def _needles(*texts: str) -> tuple[bytes, ...]:
    """Byte strings of which each relevant value contains at least one; other values can contain them too."""
    joined = "".join(texts)
    escapes: tuple[bytes, ...] = _ESCAPED_ASCII if joined.isascii() else (rb"\u",)
    if any(character in '"\\/' or character < " " for character in joined):
        escapes = (b"\\",)
    return (*(text.encode(errors="replace") for text in texts), UNAVAILABLE_VALUE.encode(), b"data_base64", *escapes)


def _with_decoded(text: str) -> str:
    """The text, and after it what it has in base64."""
    return "\n".join((text, *map(_decoded, _BASE64.findall(text))))


def _decoded(encoded: str) -> str:
    whole = encoded[:-1] if len(encoded) % 4 == 1 else encoded
    return b64decode(whole + "=" * (-len(whole) % 4)).decode(errors="replace")


def _unescaped(text: str) -> str:
    plain = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)) if escape[1] else escape[2], text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
