"""The ends of delegations that a batch reads, and which of them its delegations really have (docs/pushing.md).

An end is a terminal report, or a verdict. A delegation that has ended otherwise, or has no row yet, does not have it.
It is kept nevertheless: a late answer may be worth more to the caller than the verdict before it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, TypeGuard
from uuid import UUID, uuid5

from projector.contract.envelope import Activity, Envelope, Record, open_value
from projector.contract.facts import TERMINAL, Heartbeat, Report, Reported, Status, Translation, Verdict, make
from projector.contract.fields import lower_uuid, recorded_at
from projector.domain.fold import Parked, WorkingSet
from projector.domain.outcomes import Outcome

_NAMESPACE = UUID("9d1b4c0e-6a1f-4f0e-9d0c-3f0f5f2b7a55")
"""Of the ids of replies. It never changes: whoever computes the id of a reply gets the same one."""


class End(NamedTuple):
    """An end that a record reported, in the order of the parameters of `write_ends.sql`.

    | field | meaning |
    |---|---|
    | `kind` | `report`; or `verdict`, which is no answer: a verdict, or a report of `stuck` |
    | `row_id` | the activity row, which has the whole text; None if it is unknown |
    | `at` | when it happened |
    | `event_id` | the id of the reply, if the delegation has this end; else None |
    """

    delegation_id: str
    topic: str
    partition: int
    offset: int
    kind: str
    status: Status
    row_id: str | None
    has_text: bool
    at: datetime
    event_id: UUID | None


def event_id(delegation_id: str) -> UUID:
    """The id of the only reply that a delegation ever has."""
    return uuid5(_NAMESPACE, delegation_id)


class Ends:
    """Applies records to a working set as the set itself does, and finds the ends that they report."""

    def __init__(self, working_set: WorkingSet) -> None:
        self.found: list[End] = []
        self._working_set = working_set

    def apply(self, record: Record, translation: Translation) -> Outcome:
        """Apply the events of one record. Returns how the record ends."""
        request, report = translation.request, translation.report
        parked: Sequence[Parked] = self._working_set.parked(request.delegation_id) if request else ()
        outcome = self._working_set.apply(record, translation)
        for each in parked:  # they were read before, and the request applies them
            if _is_end(each.event):
                self._add(each, each.event, None, each.event.at)
        if _is_end(report):
            activity = _activity(record)
            at = report.at
            if request and outcome is Outcome.ADVANCED and activity.envelope is Envelope.BARE:
                # The row of the request was updated in place, and its only time is that of the request. A row that
                # moved nothing keeps that time: it may be old, and read again from a snapshot.
                at = recorded_at(record.timestamp) or at
            self._add(record, report, _row_id(activity), at)
        return outcome

    def _add(self, place: Record | Parked, event: Reported | Verdict, row_id: str | None, at: datetime) -> None:
        delegation_id, status = event.delegation_id, event.status
        kind = "verdict" if status is Status.STUCK or isinstance(event, Verdict) else "report"
        has_text = bool(event.error_detail or (isinstance(event, Reported) and event.result_preview))
        row = self._working_set.rows.get(delegation_id)
        reply_id = event_id(delegation_id) if row is not None and row.status is status else None
        coordinates = delegation_id, place.topic, place.partition, place.offset
        self.found.append(make(End, (*coordinates, kind, status, row_id, has_text, at, reply_id)))


def _is_end(event: Report) -> TypeGuard[Reported | Verdict]:
    return not isinstance(event, Heartbeat) and event.status in TERMINAL


def _activity(record: Record) -> Activity:
    """The row once more. Its translation does not keep its id, since hardly any record needs it."""
    activity = open_value(record.value)
    assert isinstance(activity, Activity)  # noqa: S101 - the record was translated
    return activity


def _row_id(activity: Activity) -> str | None:
    row_id = activity.row.get("id")
    return lower_uuid(row_id) if isinstance(row_id, str) else None
