"""The dead letters of one delegation: which of them is its request, and whether a retry can ever help."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from projector.contract import wrappings
from projector.contract.envelope import Record, read_body
from projector.contract.facts import Translation
from projector.contract.translate import translate
from projector.contract.unreadable import Unreadable
from projector.domain.fold import DeadLetter
from projector.explain.search import Match
from projector.postgres.dead_letters import Coordinates
from projector.postgres.queries import DeadLetterDetail
from projector.recordings.file import RecordedRecord
from projector.texts import command

_OTHER_METHODS = ("delegate_result", "heartbeat", "verdict")


class RelatedLetter(NamedTuple):
    """A dead letter that names the delegation.

    `is_request`: None if the record does not show it. `is_readable`: the cause is not in the record, so a retry helps
    once the cause is fixed. `is_stored`: it is in the table; a dead letter that was discarded is not.
    """

    place: Coordinates
    reason: str
    is_request: bool | None
    is_readable: bool
    is_stored: bool


def related_letters(
    delegation_id: str, matches: Iterable[Match], stored: Iterable[DeadLetterDetail]
) -> list[RelatedLetter]:
    """The stored dead letters, then those that were found in the records only; without those of other delegations."""
    letters: dict[Coordinates, RelatedLetter | None] = {}
    for letter in stored:
        place = Coordinates(letter.topic, letter.partition, letter.offset)
        timestamp = None if letter.record_at is None else round(letter.record_at.timestamp() * 1000)
        dead = RecordedRecord(*place, timestamp, letter.key, letter.value)
        letters[place] = _related(delegation_id, dead, letter.reason, is_stored=True)
    for record, meaning in matches:
        if isinstance(meaning, DeadLetter) and (place := place_of_record(record)) not in letters:
            letters[place] = _related(delegation_id, record, meaning.reason, is_stored=False)
    return [letter for letter in letters.values() if letter is not None]


def _related(delegation_id: str, record: Record, reason: str, *, is_stored: bool) -> RelatedLetter | None:
    place = place_of_record(record)
    try:
        meaning = translate(record)
    except Unreadable:
        return RelatedLetter(place, reason, _looks_like_request(delegation_id, record.value), False, is_stored)
    if isinstance(meaning, Translation) and meaning.delegation_id not in (delegation_id, ""):
        return None
    is_request = isinstance(meaning, Translation) and meaning.request is not None
    return RelatedLetter(place, reason, is_request, True, is_stored)


def likely_request(letters: Sequence[RelatedLetter]) -> RelatedLetter | None:
    """The dead letter that is the request, or else one that may be it."""
    certain = (letter for letter in letters if letter.is_request)
    possible = (letter for letter in letters if letter.is_request is None)
    return next(certain, None) or next(possible, None)


def refused(letters: Iterable[RelatedLetter]) -> RelatedLetter | None:
    """A stored dead letter whose record can be read, so Postgres refused it. The request first."""
    readable = [letter for letter in letters if letter.is_readable and letter.is_stored]
    return min(readable, key=lambda letter: not letter.is_request, default=None)


def remedy(letter: RelatedLetter, topic: str) -> str:
    """What to do about a dead letter, if `topic` is the one in force."""
    other = () if letter.place.topic == topic else ("--topic", letter.place.topic)
    place = (*other, letter.place.partition, letter.place.offset)
    if letter.is_readable:
        return f"Fix the cause, then {command('dead-letters', 'retry', *place)}."
    discard = f" Then {command('dead-letters', 'discard', *place)}." if letter.is_stored else ""
    return f"A retry cannot help, because the record is wrong: the producer must send it again, corrected.{discard}"


def place_of_record(record: Record) -> Coordinates:
    """The coordinates of a record."""
    return Coordinates(record.topic, record.partition, record.offset)


def place_of(place: Coordinates, topic: str) -> str:
    """The place of a record as partition:offset, with its topic if that is not the one in force."""
    return f"{place.partition}:{place.offset}" + ("" if place.topic == topic else f" of {place.topic}")


def _looks_like_request(delegation_id: str, value: bytes | None) -> bool | None:
    """Whether a record that cannot be read requests the delegation; None if that is not certain."""
    row = _row(value or b"")
    if row is None:
        return None
    if row.get("method") in _OTHER_METHODS:
        return False
    try:
        body = read_body(row.get("request_body"), "request_body")
    except Unreadable:
        return None
    if not isinstance(body.get("delegation_id"), str):
        return None
    if body["delegation_id"] != delegation_id:
        return False
    return True if row.get("method") == "delegate" or "task" in body else None


def _row(value: bytes) -> dict[str, object] | None:
    """The activity row in a value, also where the markers of the envelope are wrong."""
    try:
        content = wrappings.parse(value) or {}
        outer = [each for each in (content, content.get("payload")) if isinstance(each, dict)]
        rows = [*outer, *(each.get("after") for each in outer), wrappings.cloud_event_data(content)]
    except Unreadable:
        return None
    return next((row for row in rows if isinstance(row, dict) and "method" in row), None)
