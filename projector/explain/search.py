"""The search: which records of the log one delegation's story is told from. No SQL, no Kafka, no clock."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

from projector.contract.envelope import UNAVAILABLE_VALUE, Record, open_value
from projector.contract.facts import NoEvent
from projector.contract.fields import storable
from projector.contract.translate import Translation, row_never_seen, translate
from projector.contract.unreadable import Unreadable
from projector.domain.fold import DeadLetter, TranslatedBatch, TranslatedRecord, resolve_unavailable

Key: TypeAlias = tuple[str, str]
"""A caller and an idempotency key of theirs."""

_ESCAPED_ASCII = tuple(rb"\u00%x" % sixteen for sixteen in range(2, 8))
"""How an escape begins that stands for a printable character of ASCII: texts are full of others."""
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/]))')
_LEVELS = 2
"""A jsonb column stands as a text of JSON within JSON."""


class Match(NamedTuple):
    """A record of the story, and what it says, or the outcome of one that says nothing."""

    record: Record
    meaning: Translation | NoEvent | DeadLetter


class Search:
    """Picks records out of the log, as they come in its order.

    Which: what says something of the delegation, by its id or, where a body was left out, by its activity row; what
    mentions the id and says nothing; and the requests of other delegations with one of `keys`.
    """

    def __init__(
        self, delegation_id: str, *, remembered: Mapping[str, str] | None = None, keys: Iterable[Key] = ()
    ) -> None:
        """`remembered`: activity row id → delegation id, as the projector remembers the large rows by now.

        That serves where the log no longer holds such a row whole; where it still comes whole, it was not known before.
        """
        self.delegation_id = storable(delegation_id)
        self.keys = frozenset(keys)
        self.found: list[Match] = []
        self.records = 0
        self._known_by_now = {row: known for row, known in (remembered or {}).items() if known == self.delegation_id}
        self._remembered: dict[str, str] = {}
        self._provisional: dict[str, list[int]] = {}
        self.row_ids = set(self._known_by_now)
        self._needles = _needles(self.delegation_id, *(key for _, key in self.keys))
        self._whole_id = re.compile(rf"(?<![\w-]){re.escape(self.delegation_id)}(?![\w-])")

    def see(self, records: Iterable[Record]) -> None:
        """Look at records in the order of their log; within each partition, that is."""
        needles = self._needles
        for record in records:
            self.records += 1
            value = record.value
            if value is not None:
                for needle in needles:
                    if needle in value:
                        self._read(record, value)
                        break

    def requests(self) -> list[TranslatedRecord]:
        """The requests of the delegation itself that were found."""
        said = [
            TranslatedRecord(each.record, each.meaning) for each in self.found if isinstance(each.meaning, Translation)
        ]
        return [each for each in said if each.translation.request and self._is_ours(each.translation)]

    def unknown_keys(self) -> frozenset[Key]:
        """The idempotency keys that it asked with, and that were not searched for."""
        requests = [said.translation.request for said in self.requests()]
        return frozenset(
            (request.caller_id, request.idempotency_key) for request in requests if request and request.idempotency_key
        ).difference(self.keys)

    def is_mentioned(self, value: bytes) -> bool:
        """Whether the value holds the id as a word of its own, escaped or not, or one of its activity rows' ids."""
        text = value.decode(errors="replace")
        for _ in range(_LEVELS + 1):
            if self._whole_id.search(text) or any(row_id in text for row_id in self.row_ids):
                return True
            if "\\" not in text:
                break
            text = _unescaped(text)
        return False

    def _read(self, record: Record, value: bytes) -> None:
        try:
            meaning: Translation | NoEvent | DeadLetter | None = translate(record)
        except Unreadable as error:
            meaning = DeadLetter(record, error.reason, error.field)
        if isinstance(meaning, Translation):
            meaning = self._of_it(record, meaning)
        elif not self.is_mentioned(value):
            meaning = None
        if meaning is not None:
            self.found.append(Match(record, meaning))

    def _of_it(self, record: Record, translation: Translation) -> Translation | DeadLetter | None:
        """What is said of the delegation, or asked with its key; none where it is about another."""
        if not self._is_ours(translation):
            return translation if self._competes_for_key(translation) else None
        self._note_row(record)
        if translation.unavailable_row_id is None and translation.large_row_id in self._provisional:
            self._retract(self._provisional.pop(translation.large_row_id))
        remembered = self._memory(translation)
        reading = resolve_unavailable(
            TranslatedBatch([TranslatedRecord(record, translation)], [], Counter()), remembered
        )
        return reading.said[0].translation if reading.said else reading.dead_letters[0]

    def _memory(self, translation: Translation) -> dict[str, str]:
        """What the log itself gave to remember, or else, on loan, what the projector remembers by now."""
        row_id = translation.unavailable_row_id
        if row_id is None or row_id in self._remembered or row_id not in self._known_by_now:
            return self._remembered
        self._provisional.setdefault(row_id, []).append(len(self.found))
        return dict(self._known_by_now)

    def _retract(self, places: Iterable[int]) -> None:
        """The row comes whole only now, so what was found at these places was never read."""
        error = row_never_seen()
        for place in places:
            record = self.found[place].record
            self.found[place] = Match(record, DeadLetter(record, error.reason, error.field))

    def _is_ours(self, translation: Translation) -> bool:
        return translation.delegation_id == self.delegation_id or (
            not translation.delegation_id and translation.unavailable_row_id in self.row_ids
        )

    def _competes_for_key(self, translation: Translation) -> bool:
        request = translation.request
        if request is None or request.idempotency_key is None or not translation.delegation_id:
            return False
        return translation.unavailable_row_id is None and (request.caller_id, request.idempotency_key) in self.keys

    def _note_row(self, record: Record) -> None:
        activity = open_value(record.value)
        row_id = activity.row.get("id") if activity else None
        if isinstance(row_id, str) and row_id:
            self.row_ids.add(row_id.lower())


def spellings(text: str) -> list[bytes]:
    """How JSON commonly writes a text: as it is, and with escapes of either case."""
    escaped = json.dumps(text)[1:-1]
    upper = re.sub(r"\\u[0-9a-f]{4}", lambda found: r"\u" + found[0][2:].upper(), escaped)
    return [each.encode(errors="replace") for each in dict.fromkeys((text, escaped, upper))]


def _needles(*texts: str) -> tuple[bytes, ...]:
    """One of these is in every value that can concern the texts; translating tells whether it does."""
    whole = "".join(texts)
    escapes: tuple[bytes, ...] = _ESCAPED_ASCII if whole.isascii() else (rb"\u",)
    if any(character in '"\\/' or character < " " for character in whole):
        escapes = (b"\\",)
    return (*(text.encode(errors="replace") for text in texts), UNAVAILABLE_VALUE.encode(), *escapes)


def _unescaped(text: str) -> str:
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)
    return storable(plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
