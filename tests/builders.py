"""Builders of events and records, and helpers that apply them to the pure fold, by default twice."""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

from projector.contract.facts import Heartbeat, Report, Reported, Requested, Status, Translation, Verdict
from projector.domain import fold
from projector.domain.ends import End, Ends
from projector.domain.fold import Changes, WorkingSet
from projector.domain.lifecycle import Delegation, Row, State, Step, evolve
from projector.domain.outcomes import Outcome
from projector.recordings.file import RecordedRecord

TEN = datetime(2025, 5, 5, 10, tzinfo=UTC)
CALLER = "c1c1c1c1-0000-4000-8000-000000000001"
CALLEE = "c2c2c2c2-0000-4000-8000-000000000002"


def at(minute: float) -> datetime:
    return TEN + timedelta(minutes=minute)


def request(delegation_id: str = "d-1", minute: float = 0, **fields: Any) -> Requested:
    """Build a request at this minute after ten o'clock."""
    created_at = at(minute)
    event = Requested(delegation_id, CALLER, CALLEE, "a task", None, created_at + timedelta(hours=6), created_at)
    return event._replace(**fields)


def row(status: Status = Status.QUEUED, **columns: Any) -> Delegation:
    """Build the row of a request at ten o'clock, in any status."""
    inserted = evolve(None, request()).after
    assert isinstance(inserted, Delegation)
    return inserted._replace(status=status, **columns)


def state(row: Delegation) -> State:
    """Return the part of a row that a later batch reads."""
    return State._make(getattr(row, name) for name in State._fields)


def report(status: Status, minute: float = 1, *, delegation_id: str = "d-1", **texts: str | None) -> Reported:
    return Reported(delegation_id, status, at(minute), texts.get("result"), texts.get("error"))


def heartbeat(minute: float = 1, delegation_id: str = "d-1") -> Heartbeat:
    return Heartbeat(delegation_id, at(minute))


def verdict(status: Status = Status.STUCK, minute: float = 1, *, silent: float | None = 0, **texts: str) -> Verdict:
    """Build a verdict of this minute, on the evidence of the minute `silent`."""
    return Verdict("d-1", status, at(minute), None if silent is None else at(silent), texts.get("error"))


class Then(NamedTuple):
    """The result of `given`: the outcomes of the first application, and the row after the last one."""

    outcomes: list[Outcome]
    row: Row | None

    def and_the_row_is(self, expected: Row | None) -> Self:
        assert self.row == expected
        return self

    def and_each_ended(self, *expected: Outcome) -> Self:
        assert self.outcomes == list(expected)
        return self


def given(before: Row | None, *events: Requested | Report, times: int = 2) -> Then:
    """Apply the events to a row or to none, several times; only the first time may change the row."""
    first = _applied(before, events)
    again = first[-1].after if first else before
    for _ in range(1, times):
        repeated = _applied(again, events)
        assert [step.after for step in repeated] == [again] * len(repeated), "a repetition changed the row"
    return Then([step.outcome for step in first], again)


def _applied(before: Row | None, events: Sequence[Requested | Report]) -> list[Step]:
    steps: list[Step] = []
    for event in events:
        steps.append(evolve(steps[-1].after if steps else before, event))
    return steps


# --- whole records


def record(value: object, offset: int = 0, *, partition: int = 0, timestamp: int | None = None) -> RecordedRecord:
    """Build a record: bytes unchanged, None as a tombstone, any other value as JSON."""
    content = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    return RecordedRecord("activity-log", partition, offset, timestamp, None, content)


def log(*values: object) -> list[RecordedRecord]:
    return [record(value, offset) for offset, value in enumerate(values)]


class InMemoryView:
    """The fold with tables in memory instead of Postgres."""

    def __init__(self) -> None:
        self.rows: dict[str, Delegation] = {}
        self.parked: dict[tuple[str, int, int], fold.Parked] = {}
        self.large_rows: dict[str, str] = {}
        self.repeated: dict[str, fold.RepeatedRequest] = {}
        self.dead_letters: list[fold.DeadLetter] = []
        self.ends: list[End] = []

    def project(self, batch: Iterable[RecordedRecord]) -> list[Outcome]:
        """Fold one batch; returns the outcomes of the delegation events in order, then those of the other records."""
        translated = fold.resolve_unavailable(fold.translate_batch(batch), self.large_rows)
        self.dead_letters += translated.dead_letters
        view = WorkingSet(map(state, self.rows.values()), self._holders(), self.parked.values())
        ends = Ends(view)
        outcomes = [ends.apply(record, translation) for record, translation in translated.records]
        self.ends += ends.found
        self._write(view.changes())
        return outcomes + list(translated.outcomes.elements()) + [Outcome.DEAD_LETTER] * len(translated.dead_letters)

    def _holders(self) -> dict[tuple[str, str], str]:
        rows = self.rows.values()
        return {(row.caller_id, row.idempotency_key): row.delegation_id for row in rows if row.idempotency_key}

    def _write(self, changes: Changes) -> None:
        self.rows.update({row.delegation_id: row for row in changes.inserted})
        for row in changes.updated:
            assert row != state(self.rows[row.delegation_id])
            self.rows[row.delegation_id] = self.rows[row.delegation_id]._replace(**row._asdict())
        unparked = set(changes.requested)
        assert changes.unparked == sum(each.event.delegation_id in unparked for each in self.parked.values())
        self.parked = {at: each for at, each in self.parked.items() if each.event.delegation_id not in unparked}
        for each in changes.parked:
            self.parked.setdefault((each.topic, each.partition, each.offset), each)
        for repeated in changes.repeated:
            self.repeated.setdefault(repeated.delegation_id, repeated)


def fold_batches(*batches: Iterable[RecordedRecord]) -> InMemoryView:
    memory = InMemoryView()
    for batch in batches:
        memory.project(batch)
    return memory


def split(records: Sequence[RecordedRecord], places: Iterable[int]) -> Iterator[Sequence[RecordedRecord]]:
    """Yield the records in batches, split at these indices."""
    ends = sorted({0, len(records), *(place for place in places if 0 < place < len(records))})
    for start, end in itertools.pairwise(ends):
        yield records[start:end]


def translation_of(value: object, timestamp: int | None = None) -> Translation:
    """Return the translation of one record; fails if it is no delegation event."""
    translated = fold.translate_batch([record(value, timestamp=timestamp)])
    assert translated.records, translated
    return translated.records[0].translation


def outcome_of(value: object, timestamp: int | None = None) -> Outcome:
    """Return the outcome of one record in an empty view."""
    [ended] = outcomes_of(record(value, timestamp=timestamp))
    return ended


def outcomes_of(*records: RecordedRecord) -> list[Outcome]:
    memory = InMemoryView()
    return [ended for each in records for ended in memory.project([each])]


def dead_letter_of(value: object, timestamp: int | None = None) -> tuple[str | None, str]:
    """Return the field and the reason of a dead letter; fails if the record is none."""
    memory = fold_batches([record(value, timestamp=timestamp)])
    assert memory.dead_letters, f"no dead letter: {value!r}"
    return memory.dead_letters[0].field, memory.dead_letters[0].reason


def request_of(value: object, timestamp: int | None = None) -> Requested:
    request = translation_of(value, timestamp).request
    assert request is not None
    return request


def report_of(value: object, timestamp: int | None = None) -> Reported:
    report = translation_of(value, timestamp).report
    assert isinstance(report, Reported)
    return report
