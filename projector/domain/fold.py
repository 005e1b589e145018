"""The fold: a batch of records, applied in order to the rows that they touch. No SQL, no Kafka, no clock."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from projector.contract.envelope import Record
from projector.contract.facts import IN_FLIGHT, TERMINAL, NoEvent, Report, Requested, Status, Translation, make
from projector.contract.translate import row_never_seen, translate
from projector.contract.unreadable import Unreadable
from projector.domain.lifecycle import Delegation, Row, State, evolve
from projector.domain.outcomes import Outcome

_OUTCOMES = {each: Outcome(each.value) for each in NoEvent}


class DeadLetter(NamedTuple):
    """A record that cannot be read, kept whole, and why. `field` is the path of the wrong value, if any."""

    record: Record
    reason: str
    field: str | None


class Parked(NamedTuple):
    """An event that came before its delegation was requested, with the coordinates of its record."""

    topic: str
    partition: int
    offset: int
    event: Report


class RepeatedRequest(NamedTuple):
    """A request that made no row, because another delegation holds its idempotency key; with its coordinates."""

    delegation_id: str
    holder_id: str
    topic: str
    partition: int
    offset: int
    requested_at: datetime


class TranslatedRecord(NamedTuple):
    """A record with an event of a delegation."""

    record: Record
    translation: Translation


class Passed(NamedTuple):
    """A record without an event: its coordinates, and why it has none. Its value is not kept."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None
    reason: NoEvent

    @property
    def record(self) -> "Passed":
        """The coordinates, as those of the other kinds of `Entry`."""
        return self


Entry = TranslatedRecord | DeadLetter | Passed
"""A record after its translation. What may still be refused keeps its record whole."""


class TranslatedBatch(NamedTuple):
    """A translated batch: records with events in their order, dead letters, and outcomes of the other records."""

    records: list[TranslatedRecord]
    dead_letters: list[DeadLetter]
    outcomes: Counter[Outcome]


def translate_each(records: Iterable[Record]) -> list[Entry]:
    """Translate records. One that cannot be read becomes a dead letter and does not affect the others."""
    entries: list[Entry] = []
    for record in records:
        try:
            translation = translate(record)
        except Unreadable as error:
            entries.append(DeadLetter(record, error.reason, error.field))
            continue
        if type(translation) is Translation:
            entries.append(make(TranslatedRecord, (record, translation)))
        else:
            place = record.topic, record.partition, record.offset, record.timestamp, translation
            entries.append(make(Passed, place))
    return entries


def by_kind(entries: Sequence[Entry]) -> TranslatedBatch:
    """Sort translated records by their kind."""
    reasons = [entry.reason for entry in entries if isinstance(entry, Passed)]
    outcomes = {outcome: count for reason, outcome in _OUTCOMES.items() if (count := reasons.count(reason))}
    return TranslatedBatch(
        [entry for entry in entries if isinstance(entry, TranslatedRecord)],
        [entry for entry in entries if isinstance(entry, DeadLetter)],
        Counter(outcomes),
    )


def translate_batch(records: Iterable[Record]) -> TranslatedBatch:
    """Translate records, and sort them by their kind."""
    return by_kind(translate_each(records))


def resolve_unavailable(batch: TranslatedBatch, large_rows: dict[str, str]) -> TranslatedBatch:
    """Set the delegation of records whose body was left out, from `large_rows` (row id → delegation id).

    Adds the batch's own large rows to `large_rows`. A record whose row was never read whole becomes a dead letter.
    """
    records: list[TranslatedRecord] = []
    dead_letters = list(batch.dead_letters)
    for each in batch.records:
        translation = each.translation
        if translation.unavailable_row_id is not None:
            if (delegation_id := large_rows.get(translation.unavailable_row_id)) is None:
                error = row_never_seen()
                dead_letters.append(DeadLetter(each.record, error.reason, error.field))
                continue
            if not translation.delegation_id:
                translation = translation.about(delegation_id)
                each = TranslatedRecord(each.record, translation)
        if translation.large_row_id is not None:
            large_rows[translation.large_row_id] = translation.delegation_id
        records.append(each)
    return TranslatedBatch(records, dead_letters, batch.outcomes)


class Changes(NamedTuple):
    """What a batch writes, each row once."""

    inserted: Sequence[Delegation] = ()
    updated: Sequence[State] = ()
    parked: Sequence[Parked] = ()
    requested: Sequence[str] = ()
    """Ids of the delegations whose request came. Their parked events are applied now."""
    unparked: int = 0
    """How many of those events earlier batches had parked."""
    repeated: Sequence[RepeatedRequest] = ()
    """The first repeated request of each delegation in the batch."""


class WorkingSet:
    """The part of the view that a batch touches: as it was read, then as the batch leaves it.

    In `rows` a row that was read is a State, and a row that was inserted here is a Delegation.
    """

    def __init__(
        self,
        rows: Iterable[State] = (),
        holders: Mapping[tuple[str, str], str] | None = None,
        parked: Iterable[Parked] = (),
        pruned: Iterable[str] = (),
    ) -> None:
        """`holders`: (caller, idempotency key) → the delegation that holds it. `parked`: in the order of parking.

        `pruned`: delegations that have ended, and of which no row is left.
        """
        self._read = {row.delegation_id: row for row in rows}
        self.rows: dict[str, Row] = dict(self._read)
        self._holders = dict(holders or {})
        self._parked_before: dict[str, list[Parked]] = {}
        for each in parked:
            self._parked_before.setdefault(each.event.delegation_id, []).append(each)
        self._parked_here: dict[str, list[Parked]] = {}
        self._requested: list[str] = []
        self._unparked = 0
        self._repeated: dict[str, RepeatedRequest] = {}
        self._pruned = frozenset(pruned)

    def apply(self, record: Record, translation: Translation) -> Outcome:
        """Apply the events of one record. Returns how the record ends."""
        report = translation.report
        if translation.request is not None:
            return self._request(record, translation.request, report)
        outcome = self._report(report)
        if outcome is Outcome.PARKED:
            parked = Parked(record.topic, record.partition, record.offset, report)
            self._parked_here.setdefault(report.delegation_id, []).append(parked)
        return outcome

    def _request(self, record: Record, request: Requested, report: Report) -> Outcome:
        before = self.rows.get(request.delegation_id)
        if before is None and request.delegation_id in self._pruned:
            return Outcome.DUPLICATE
        if (holder_id := self._holder_of_key(request)) != request.delegation_id:
            if before is None:
                place = record.topic, record.partition, record.offset
                repeated = RepeatedRequest(request.delegation_id, holder_id, *place, request.created_at)
                self._repeated.setdefault(request.delegation_id, repeated)
            return Outcome.DUPLICATE
        step = evolve(before, request)
        if before is None and step.after is not None:
            self.rows[request.delegation_id] = step.after
            if request.idempotency_key is not None:
                self._holders[request.caller_id, request.idempotency_key] = request.delegation_id
        self._apply_parked(request.delegation_id)
        outcome = self._report(report)
        return step.outcome if step.outcome is Outcome.INSERTED else outcome

    def _holder_of_key(self, request: Requested) -> str:
        """The delegation that holds the request's idempotency key; its own if no other one does."""
        if request.idempotency_key is None:
            return request.delegation_id
        return self._holders.get((request.caller_id, request.idempotency_key), request.delegation_id)

    def _report(self, event: Report) -> Outcome:
        step = evolve(self.rows.get(event.delegation_id), event)
        if step.after is not None:
            self.rows[event.delegation_id] = step.after
        elif event.delegation_id in self._pruned:
            return Outcome.REFUSED
        return step.outcome

    def parked(self, delegation_id: str) -> list[Parked]:
        """The events that a request of this delegation applies, in the order in which they were parked."""
        return [*self._parked_before.get(delegation_id, ()), *self._parked_here.get(delegation_id, ())]

    def _apply_parked(self, delegation_id: str) -> None:
        """Apply the parked events, in the order in which they were parked."""
        self._requested.append(delegation_id)
        before = self._parked_before.pop(delegation_id, [])
        self._unparked += len(before)
        for parked in (*before, *self._parked_here.pop(delegation_id, ())):
            self._report(parked.event)

    def changes(self) -> Changes:
        """The changes against the rows as they were read."""
        inserted, updated = [], []
        for delegation_id, row in self.rows.items():
            if isinstance(row, Delegation):
                inserted.append(row)
            # Identity first: most rows that did not change are still the same object.
            elif row is not (before := self._read[delegation_id]) and row != before:
                updated.append(row)
        parked = [each for events in self._parked_here.values() for each in events]
        return Changes(inserted, updated, parked, self._requested, self._unparked, list(self._repeated.values()))

    def ended(self, changes: Changes) -> Counter[Status]:
        """Terminal status → the rows that have it now, and were in flight before, or not there."""
        moved = (row.status for row in changes.updated if self._read[row.delegation_id].status in IN_FLIGHT)
        return Counter(status for status in (*moved, *(row.status for row in changes.inserted)) if status in TERMINAL)
