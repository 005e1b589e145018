"""The timeline of one delegation: its records in order, what each did to the row, and the row that they make.

The fold is the projector's own fold. Here it sees only the records that the search found.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, cast

from projector.contract.envelope import Activity, Record, open_value
from projector.contract.facts import Heartbeat, NoEvent, Translation, Verdict
from projector.contract.fields import recorded_at
from projector.contract.unreadable import Unreadable
from projector.domain.fold import DeadLetter, WorkingSet
from projector.domain.lifecycle import Delegation, changed_columns
from projector.domain.outcomes import Outcome
from projector.explain.evidence import rests_on
from projector.explain.hints import hints
from projector.explain.search import Key, Match, Meaning
from projector.explain.sentences import Why, detail, sentence
from projector.texts import named


class Change(NamedTuple):
    """The value of a column before and after a record."""

    column: str
    before: object
    after: object


class Entry(NamedTuple):
    """One record: where it is, its method and status, and its effect on the row. `explain --json` prints the fields."""

    topic: str
    partition: int
    offset: int
    recorded_at: datetime | None
    envelope: str | None
    said: str
    """The method and the status in the words of the activity row."""
    delegation_id: str | None
    """The delegation that the record is about; None if the record only mentions this one."""
    happened_at: datetime | None
    silent_since: datetime | None
    """The evidence of a verdict: the last sign of life that the sweeper knew."""
    rests_on: str | None
    """What a verdict rests on, in one sentence."""
    outcome: Outcome
    sentence: str
    detail: str
    """What the sentence has that is of this record, in a few words; can be empty."""
    hints: list[str]
    """What is odd about the record, in sentences."""
    changes: list[Change]
    is_projected: bool


class Timeline(NamedTuple):
    """The records in the order in which they were folded, and the row that they make."""

    entries: list[Entry]
    row: Delegation | None
    holder: str | None
    """The delegation that holds the idempotency key which this one requested; None if this one got its key."""


def build_timeline(
    delegation_id: str,
    matches: Sequence[Match],
    *,
    holders: Mapping[Key, str] | None = None,
    positions: Mapping[int, int] | None = None,
) -> Timeline:
    """Fold the records in the order given.

    `holders`: idempotency key → the delegation that holds it in the view; it counts for keys that no record requests.
    `positions`: partition → the first offset that is not projected; None if all records count as projected.
    """
    builder = _TimelineBuilder(delegation_id, matches, holders or {})
    entries = [builder.add(match, is_projected=_is_projected(match.record, positions)) for match in matches]
    return Timeline(entries, builder.rows.get(delegation_id), builder.holder)


def projected(matches: Iterable[Match], positions: Mapping[int, int]) -> list[Match]:
    """The matches whose records are before the positions."""
    return [match for match in matches if _is_projected(match.record, positions)]


def _is_projected(record: Record, positions: Mapping[int, int] | None) -> bool:
    return positions is None or record.offset < positions.get(record.partition, 0)


def _coordinates(record: Record) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset


class _TimelineBuilder:
    """Folds the matches one by one; holds the rows of the delegation and of those that compete for its key."""

    def __init__(self, delegation_id: str, matches: Iterable[Match], holders: Mapping[Key, str]) -> None:
        self.delegation_id = delegation_id
        in_records = {match.meaning.delegation_id for match in matches if isinstance(match.meaning, Translation)}
        # A holder that has records here must claim the key by its own request, in the order of the records.
        self._other_holders = {key: holder for key, holder in holders.items() if holder not in in_records}
        self.view = WorkingSet(holders=self._other_holders)
        self.holder: str | None = None
        self._parked = 0

    @property
    def rows(self) -> dict[str, Delegation]:
        """The working set began empty, so each of its rows is a whole Delegation."""
        return cast("dict[str, Delegation]", self.view.rows)

    def add(self, match: Match, *, is_projected: bool) -> Entry:
        """Fold one record, and describe its effect."""
        record, meaning = match
        before = self.rows.get(self.delegation_id)
        outcome = self._apply(record, meaning)
        after = self.rows.get(self.delegation_id)
        activity, recorded = _open(record), recorded_at(record.timestamp)
        told, short = self._told(meaning, outcome, before, after)
        return Entry(
            *_coordinates(record),
            recorded_at=recorded,
            envelope=activity and activity.envelope + (", update" if activity.is_update else ""),
            said=_method_and_status(activity, meaning),
            delegation_id=meaning.delegation_id if isinstance(meaning, Translation) else None,
            happened_at=meaning.report.at if isinstance(meaning, Translation) else None,
            silent_since=_evidence(meaning),
            rests_on=_rests_on(activity, meaning),
            outcome=outcome,
            sentence=told,
            detail=short,
            hints=hints(activity, meaning, recorded),
            changes=_changes(before, after),
            is_projected=is_projected,
        )

    def _apply(self, record: Record, meaning: Meaning) -> Outcome:
        if isinstance(meaning, DeadLetter):
            return Outcome.DEAD_LETTER
        return self.view.apply(record, meaning) if isinstance(meaning, Translation) else Outcome(meaning)

    def _told(
        self, meaning: Meaning, outcome: Outcome, before: Delegation | None, after: Delegation | None
    ) -> tuple[str, str]:
        """The sentence about the outcome, and its detail."""
        if isinstance(meaning, Translation) and meaning.delegation_id != self.delegation_id:
            other = named(meaning.delegation_id)
            return f"about {other}, which requested the same idempotency key", f"{other} asks for the same key"
        why = self._why(meaning, outcome, before, after)
        return sentence(outcome, why), detail(outcome, why)

    def _why(self, meaning: Meaning, outcome: Outcome, before: Delegation | None, after: Delegation | None) -> Why:
        if isinstance(meaning, DeadLetter):
            return Why(reason=meaning.reason)
        if isinstance(meaning, NoEvent):
            return Why()
        holder = self._holder_of_key(meaning) if after is None else None
        self.holder = holder or self.holder
        unparked = self._count_unparked(outcome)
        why = Why(before and before.status, before != after, holder, unparked, updated_at=before and before.updated_at)
        if isinstance(meaning.report, Verdict):
            why = why._replace(is_verdict=True, silent_since=meaning.report.silent_since)
        return why

    def _count_unparked(self, outcome: Outcome) -> int:
        """How many parked events this record applied."""
        if outcome is Outcome.PARKED:
            self._parked += 1
        if outcome is not Outcome.INSERTED:
            return 0
        unparked, self._parked = self._parked, 0
        return unparked

    def _holder_of_key(self, translation: Translation) -> str | None:
        request = translation.request
        if request is None or request.idempotency_key is None:
            return None
        key = (request.caller_id, request.idempotency_key)
        holders = (row.delegation_id for row in self.rows.values() if (row.caller_id, row.idempotency_key) == key)
        return next(holders, None) or self._other_holders.get(key)


def _open(record: Record) -> Activity | None:
    try:
        activity = open_value(record.value)
    except Unreadable:
        return None
    return activity if isinstance(activity, Activity) else None


def _evidence(meaning: Meaning) -> datetime | None:
    report = meaning.report if isinstance(meaning, Translation) else None
    return report.silent_since if isinstance(report, Verdict) else None


def _rests_on(activity: Activity | None, meaning: Meaning) -> str | None:
    report = meaning.report if isinstance(meaning, Translation) else None
    return rests_on(report, activity) if activity is not None and isinstance(report, Verdict) else None


def _method_and_status(activity: Activity | None, meaning: Meaning) -> str:
    """The columns as the activity row has them; the activity type too if the record is not an event."""
    if activity is None:
        return ""
    columns = ["method", "status"]
    if isinstance(meaning, Translation) and isinstance(meaning.report, Heartbeat):
        columns = ["method"]
    elif not isinstance(meaning, Translation):
        columns = ["activity_type", *columns]
    return ", ".join(str(text) for text in map(activity.row.get, columns) if text)


def _changes(before: Delegation | None, after: Delegation | None) -> list[Change]:
    if after is None:
        return []
    columns = Delegation._fields if before is None else changed_columns(before, after)
    return [Change(column, before and getattr(before, column), getattr(after, column)) for column in columns]
