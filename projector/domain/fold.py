"""The fold: records in log order over the part of the view that they touch. No SQL, no Kafka, no clock."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from projector.contract.envelope import Record
from projector.contract.facts import Heartbeat, NoEvent, Reported, Requested
from projector.contract.translate import Translation, row_never_seen, translate
from projector.contract.unreadable import Unreadable
from projector.domain.lifecycle import Delegation, Row, State, evolve
from projector.domain.outcomes import Outcome

_OUTCOME_OF = {each: Outcome(each.value) for each in NoEvent}


class DeadLetter(NamedTuple):
    """A record that cannot be read, kept whole, and why."""

    record: Record
    reason: str
    field: str | None


class Parked(NamedTuple):
    """An event that came before its delegation was requested; the coordinates are its record's."""

    topic: str
    partition: int
    offset: int
    event: Reported | Heartbeat


class TranslatedRecord(NamedTuple):
    """A record that says something of a delegation."""

    record: Record
    translation: Translation


class TranslatedBatch(NamedTuple):
    """A batch, read: what was said in log order, the dead letters, and the outcomes of the records that say nothing."""

    said: list[TranslatedRecord]
    dead_letters: list[DeadLetter]
    outcomes: Counter[Outcome]


def translate_batch(records: Iterable[Record]) -> TranslatedBatch:
    """Translate a batch; a record that cannot be read costs its neighbours nothing."""
    said: list[TranslatedRecord] = []
    dead_letters: list[DeadLetter] = []
    outcomes: Counter[Outcome] = Counter()
    for record in records:
        try:
            meaning = translate(record)
        except Unreadable as error:
            dead_letters.append(DeadLetter(record, error.reason, error.field))
        else:
            if isinstance(meaning, Translation):
                said.append(TranslatedRecord(record, meaning))
            else:
                outcomes[_OUTCOME_OF[meaning]] += 1
    return TranslatedBatch(said, dead_letters, outcomes)


def resolve_unavailable(reading: TranslatedBatch, large_rows: dict[str, str]) -> TranslatedBatch:
    """Give the records whose body was left out their delegation's id, from `large_rows` (row id → delegation id).

    What the batch itself remembers is added to `large_rows`. A row that was never seen whole becomes a dead letter.
    """
    said: list[TranslatedRecord] = []
    dead_letters = list(reading.dead_letters)
    for record, translation in reading.said:
        if translation.unavailable_row_id is not None:
            if (delegation_id := large_rows.get(translation.unavailable_row_id)) is None:
                error = row_never_seen()
                dead_letters.append(DeadLetter(record, error.reason, error.field))
                continue
            if not translation.delegation_id:
                translation = _with_delegation_id(translation, delegation_id)
        if translation.large_row_id is not None:
            large_rows[translation.large_row_id] = translation.delegation_id
        said.append(TranslatedRecord(record, translation))
    return TranslatedBatch(said, dead_letters, reading.outcomes)


def _with_delegation_id(translation: Translation, delegation_id: str) -> Translation:
    request, report = translation.request, translation.report
    return translation._replace(
        delegation_id=delegation_id,
        request=request and request._replace(delegation_id=delegation_id),
        report=report._replace(delegation_id=delegation_id),
    )


class Changes(NamedTuple):
    """What a batch writes, each row once."""

    inserted: list[Delegation]
    updated: list[State]
    parked: list[Parked]
    requested: list[str]
    """Ids of the delegations whose request came, and whose parked events are applied by now."""
    unparked: int
    """How many such events earlier batches had parked."""


class WorkingSet:
    """The part of the view that a batch touches: as it was read, then as the fold leaves it.

    In `rows` what was read is a State, and what was made here a Delegation.
    """

    def __init__(
        self,
        rows: Iterable[State] = (),
        holders: Mapping[tuple[str, str], str] | None = None,
        parked: Iterable[Parked] = (),
    ) -> None:
        """`holders`: (caller, idempotency key) → the delegation that holds it; `parked` in the order of parking."""
        self._read = {row.delegation_id: row for row in rows}
        self.rows: dict[str, Row] = dict(self._read)
        self._holders = dict(holders or {})
        self._waiting: dict[str, list[Parked]] = {}
        for waiting in parked:
            self._waiting.setdefault(waiting.event.delegation_id, []).append(waiting)
        self._arrived: dict[str, list[Parked]] = {}
        self._requested: list[str] = []
        self._released = 0

    def apply(self, record: Record, translation: Translation) -> Outcome:
        """Fold what one record says into the view."""
        report = translation.report
        if translation.request is not None:
            return self._request(translation.request, report)
        outcome = self._report(report)
        if outcome is Outcome.PARKED:
            parked = Parked(record.topic, record.partition, record.offset, report)
            self._arrived.setdefault(report.delegation_id, []).append(parked)
        return outcome

    def _request(self, request: Requested, report: Reported | Heartbeat) -> Outcome:
        before = self.rows.get(request.delegation_id)
        if before is None and not self._claim_key(request):
            return Outcome.DUPLICATE
        step = evolve(before, request)
        if before is None and step.after is not None:
            self.rows[request.delegation_id] = step.after
        self._apply_parked(request.delegation_id)
        outcome = self._report(report)
        return step.outcome if step.outcome is Outcome.INSERTED else outcome

    def _claim_key(self, request: Requested) -> bool:
        if request.idempotency_key is None:
            return True
        key = (request.caller_id, request.idempotency_key)
        return self._holders.setdefault(key, request.delegation_id) == request.delegation_id

    def _report(self, event: Reported | Heartbeat) -> Outcome:
        step = evolve(self.rows.get(event.delegation_id), event)
        if step.after is not None:
            self.rows[event.delegation_id] = step.after
        return step.outcome

    def _apply_parked(self, delegation_id: str) -> None:
        """Apply what was parked, in the order in which it was parked."""
        self._requested.append(delegation_id)
        waiting = self._waiting.pop(delegation_id, [])
        self._released += len(waiting)
        for parked in (*waiting, *self._arrived.pop(delegation_id, ())):
            self._report(parked.event)

    def changes(self) -> Changes:
        """What the fold changed, against the view as it was read."""
        inserted, updated = [], []
        for delegation_id, row in self.rows.items():
            if isinstance(row, Delegation):
                inserted.append(row)
            elif row is not (before := self._read[delegation_id]) and row != before:
                updated.append(row)
        parked = [waiting for events in self._arrived.values() for waiting in events]
        return Changes(inserted, updated, parked, self._requested, self._released)
