"""The explanation of one delegation: its records in order, what each did to the row, and the row they make.

The fold is the projector's own, over nothing but these records.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, cast

from projector.contract.envelope import Activity, Record, open_value
from projector.contract.facts import Heartbeat, NoEvent
from projector.contract.fields import recorded_at
from projector.contract.translate import Translation
from projector.contract.unreadable import Unreadable
from projector.domain.fold import DeadLetter, WorkingSet
from projector.domain.lifecycle import Delegation
from projector.domain.outcomes import Outcome, Why, sentence
from projector.explain.search import Key, Match


class Change(NamedTuple):
    """What a record did to a column."""

    column: str
    before: object
    after: object


class Entry(NamedTuple):
    """One record of the story: where it is, what it said, and what it did to the row."""

    topic: str
    partition: int
    offset: int
    recorded_at: datetime | None
    envelope: str | None
    said: str
    delegation_id: str | None
    """Whom it is about; None where it only mentions the delegation."""
    happened_at: datetime | None
    outcome: Outcome
    sentence: str
    changes: list[Change]
    is_projected: bool


class Timeline(NamedTuple):
    """The records in the order in which they were folded, and the row that they make."""

    entries: list[Entry]
    row: Delegation | None
    holder: str | None
    """Who holds the idempotency key with which the delegation asked in vain."""


def in_order(found: Iterable[Match]) -> list[Match]:
    """Log order within each partition; between partitions, which have no order, by the records' timestamps."""
    latest: dict[tuple[str, int], int] = {}
    ranked = []
    for each in sorted(found, key=lambda each: _place(each.record)):
        topic, partition, offset = _place(each.record)
        at = max(latest.get((topic, partition), -1), -1 if each.record.timestamp is None else each.record.timestamp)
        latest[topic, partition] = at
        ranked.append(((at, topic, partition, offset), each))
    return [each for _, each in sorted(ranked, key=lambda pair: pair[0])]


def build_timeline(
    delegation_id: str,
    found: Sequence[Match],
    *,
    holders: Mapping[Key, str] | None = None,
    positions: Mapping[int, int] | None = None,
) -> Timeline:
    """Fold the records as given. `holders`: who holds which key in the table, for keys that no record here claims.

    `positions`: partition → the first offset that is not projected; None where all of it counts as projected.
    """
    telling = _TimelineBuilder(delegation_id, found, holders or {})
    entries = [telling.entry(each, is_projected=_is_projected(each.record, positions)) for each in found]
    return Timeline(entries, telling.rows.get(delegation_id), telling.holder)


def reached(found: Iterable[Match], positions: Mapping[int, int]) -> list[Match]:
    """Those of the records that are projected."""
    return [each for each in found if _is_projected(each.record, positions)]


def _is_projected(record: Record, positions: Mapping[int, int] | None) -> bool:
    return positions is None or record.offset < positions.get(record.partition, 0)


def _place(record: Record) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset


class _TimelineBuilder:
    """The view as it goes through the records."""

    def __init__(self, delegation_id: str, found: Iterable[Match], holders: Mapping[Key, str]) -> None:
        self.delegation_id = delegation_id
        asked = {each.meaning.delegation_id for each in found if isinstance(each.meaning, Translation)}
        self._elsewhere = {key: holder for key, holder in holders.items() if holder not in asked}
        self.view = WorkingSet(holders=self._elsewhere)
        self.holder: str | None = None
        self._parked = 0

    @property
    def rows(self) -> dict[str, Delegation]:
        """All of them were made here, so they are whole."""
        return cast("dict[str, Delegation]", self.view.rows)

    def entry(self, found: Match, *, is_projected: bool) -> Entry:
        """Fold one record, and say what came of it."""
        record, meaning = found
        before = self.rows.get(self.delegation_id)
        outcome = self._apply(record, meaning)
        after = self.rows.get(self.delegation_id)
        activity = _opened(record)
        return Entry(
            *_place(record),
            recorded_at=recorded_at(record.timestamp),
            envelope=activity and activity.envelope + (", update" if activity.is_update else ""),
            said=_said(activity, meaning),
            delegation_id=meaning.delegation_id if isinstance(meaning, Translation) else None,
            happened_at=_happened_at(meaning),
            outcome=outcome,
            sentence=self._sentence(meaning, outcome, before, after),
            changes=_changes(before, after),
            is_projected=is_projected,
        )

    def _apply(self, record: Record, meaning: Translation | NoEvent | DeadLetter) -> Outcome:
        if isinstance(meaning, DeadLetter):
            return Outcome.DEAD_LETTER
        return self.view.apply(record, meaning) if isinstance(meaning, Translation) else Outcome(meaning)

    def _sentence(
        self,
        meaning: Translation | NoEvent | DeadLetter,
        outcome: Outcome,
        before: Delegation | None,
        after: Delegation | None,
    ) -> str:
        if isinstance(meaning, DeadLetter):
            return sentence(outcome, Why(reason=meaning.reason))
        if isinstance(meaning, NoEvent):
            return sentence(outcome, Why())
        if meaning.delegation_id != self.delegation_id:
            return f"of {meaning.delegation_id}, which asked with the same idempotency key"
        lost_to = self._lost_to(meaning) if after is None else None
        self.holder = lost_to or self.holder
        unparked = self._unparked(outcome)
        return sentence(outcome, Why(before and before.status, before != after, lost_to, unparked))

    def _unparked(self, outcome: Outcome) -> int:
        if outcome is Outcome.PARKED:
            self._parked += 1
        if outcome is not Outcome.INSERTED:
            return 0
        unparked, self._parked = self._parked, 0
        return unparked

    def _lost_to(self, translation: Translation) -> str | None:
        request = translation.request
        if request is None or request.idempotency_key is None:
            return None
        key = (request.caller_id, request.idempotency_key)
        here = (row.delegation_id for row in self.rows.values() if (row.caller_id, row.idempotency_key) == key)
        return next(here, None) or self._elsewhere.get(key)


def _opened(record: Record) -> Activity | None:
    try:
        return open_value(record.value)
    except Unreadable:
        return None


def _said(activity: Activity | None, meaning: Translation | NoEvent | DeadLetter) -> str:
    """The row's own words: its method and its status."""
    if activity is None:
        return ""
    columns = ["method", "status"]
    if isinstance(meaning, Translation) and isinstance(meaning.report, Heartbeat):
        columns = ["method"]
    elif not isinstance(meaning, Translation):
        columns = ["activity_type", *columns]
    return ", ".join(str(text) for text in map(activity.row.get, columns) if text)


def _happened_at(meaning: Translation | NoEvent | DeadLetter) -> datetime | None:
    return meaning.report.at if isinstance(meaning, Translation) else None


def _changes(before: Delegation | None, after: Delegation | None) -> list[Change]:
    if after is None or after is before:
        return []
    return [
        Change(name, before and getattr(before, name), getattr(after, name))
        for name in Delegation._fields
        if before is None or getattr(before, name) != getattr(after, name)
    ]
