"""The ends of delegations that a batch reads, and which of them its delegations really have (docs/pushing.md).

An end is a terminal report, or a verdict. A delegation that has ended otherwise, or has no row yet, does not have it.
It is kept nevertheless: a late answer may be worth more to the caller than the verdict before it.
"""

from datetime import datetime
from typing import NamedTuple

from projector.contract.envelope import Activity, Envelope, Record, open_value
from projector.contract.facts import Reported, Status, Translation, Verdict, is_end, make
from projector.contract.fields import lower_uuid, recorded_at
from projector.domain.fold import Parked, WorkingSet
from projector.domain.outcomes import Outcome
from projector.domain.reply import Kind


class End(NamedTuple):
    """An end that a record reported, in the order of the parameters of `write_ends.sql`.

    | field | meaning |
    |---|---|
    | `kind` | VERDICT is no answer: a verdict, or a report of `stuck` |
    | `row_id` | the activity row, which has the whole text; None if it is unknown |
    | `at` | when it happened |
    | `agrees` | whether the delegation has this end: its reply is queued |
    """

    delegation_id: str
    topic: str
    partition: int
    offset: int
    kind: Kind
    status: Status
    row_id: str | None
    has_text: bool
    at: datetime
    agrees: bool


class Ends:
    """Applies records to a working set as the set itself does, and finds the ends that they report."""

    def __init__(self, working_set: WorkingSet) -> None:
        self.found: list[End] = []
        self._working_set = working_set

    def apply(self, record: Record, translation: Translation) -> Outcome:
        """Apply the events of one record. Returns how the record ends."""
        if translation.request is not None:
            return self._apply_request(record, translation)
        outcome = self._working_set.apply(record, translation)
        report = translation.report
        if is_end(report):
            self._add(record, report, translation.row_id, report.at)
        return outcome

    def _apply_request(self, record: Record, translation: Translation) -> Outcome:
        parked = self._working_set.parked(translation.delegation_id)
        outcome = self._working_set.apply(record, translation)
        for each in parked:  # they were read before, and the request applies them
            if is_end(each.event):
                self._add(each, each.event, None, each.event.at)
        report = translation.report
        if is_end(report):
            self._add(record, report, translation.row_id, _ended_at(record, translation, report, outcome))
        return outcome

    def _add(self, place: Record | Parked, event: Reported | Verdict, row_id: object, at: datetime) -> None:
        delegation_id, status = event.delegation_id, event.status
        kind = Kind.VERDICT if status is Status.STUCK or isinstance(event, Verdict) else Kind.REPORT
        has_text = bool(event.error_detail or (isinstance(event, Reported) and event.result_preview))
        row = self._working_set.rows.get(delegation_id)
        agrees = row is not None and row.status is status
        known_id = lower_uuid(row_id) if isinstance(row_id, str) else None
        coordinates = delegation_id, place.topic, place.partition, place.offset
        self.found.append(make(End, (*coordinates, kind, status, known_id, has_text, at, agrees)))


def _ended_at(record: Record, translation: Translation, report: Reported | Verdict, outcome: Outcome) -> datetime:
    """When a request's row reported the end.

    A bare row that was updated in place has no time but that of the request, so its record's timestamp counts. If it
    moved nothing it keeps its time: it may be old, and read again from a snapshot.
    """
    request = translation.request
    if outcome is Outcome.ADVANCED and request and report.at == request.created_at and _is_bare(record):
        return recorded_at(record.timestamp) or report.at
    return report.at


def _is_bare(record: Record) -> bool:
    """The value once more: its translation does not keep the envelope, since hardly any record needs it."""
    activity = open_value(record.value)
    return isinstance(activity, Activity) and activity.envelope is Envelope.BARE
