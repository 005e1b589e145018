"""Given, when, then over the pure fold: events or records go in, twice unless told otherwise, and a row comes out."""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

from projector.contract.facts import Heartbeat, Reported, Requested, Status
from projector.contract.translate import Translation
from projector.domain import fold
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
    """What a caller asks, ten o'clock and so many minutes."""
    created_at = at(minute)
    asked = Requested(delegation_id, CALLER, CALLEE, "a task", None, created_at + timedelta(hours=6), created_at)
    return asked._replace(**fields)


def row(status: Status = Status.QUEUED, **columns: Any) -> Delegation:
    """A row as a request at ten makes it, in any status."""
    made = evolve(None, request()).after
    assert isinstance(made, Delegation)
    return made._replace(status=status, **columns)


def state(row: Delegation) -> State:
    """As much of a row as a later batch reads."""
    return State._make(getattr(row, name) for name in State._fields)


def report(status: Status, minute: float = 1, *, delegation_id: str = "d-1", **texts: str | None) -> Reported:
    return Reported(delegation_id, status, at(minute), texts.get("result"), texts.get("error"))


def beat(minute: float = 1, delegation_id: str = "d-1") -> Heartbeat:
    return Heartbeat(delegation_id, at(minute))


class Then(NamedTuple):
    """What came of it: how each event ended the first time, and the row after the last time."""

    outcomes: list[Outcome]
    row: Row | None

    def and_the_row_is(self, expected: Row | None) -> Self:
        assert self.row == expected
        return self

    def and_each_ended(self, *expected: Outcome) -> Self:
        assert self.outcomes == list(expected)
        return self


def given(before: Row | None, *events: Requested | Reported | Heartbeat, times: int = 2) -> Then:
    """Apply the events to a row, or to none, so many times over; from the second time on nothing may change."""
    first = _applied(before, events)
    again = first[-1].after if first else before
    for _ in range(1, times):
        repeated = _applied(again, events)
        assert [step.after for step in repeated] == [again] * len(repeated), "a repetition changed the row"
    return Then([step.outcome for step in first], again)


def _applied(before: Row | None, events: Sequence[Requested | Reported | Heartbeat]) -> list[Step]:
    steps: list[Step] = []
    for event in events:
        steps.append(evolve(steps[-1].after if steps else before, event))
    return steps


# --- whole records


def record(value: object, offset: int = 0, *, partition: int = 0, timestamp: int | None = None) -> RecordedRecord:
    """A record of the log: bytes as they are, none as a tombstone, anything else as JSON."""
    content = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    return RecordedRecord("activity-log", partition, offset, timestamp, None, content)


def log(*values: object) -> list[RecordedRecord]:
    return [record(value, offset) for offset, value in enumerate(values)]


class Memory:
    """The fold with a table of its own: what Postgres would hold after each batch, without Postgres."""

    def __init__(self) -> None:
        self.rows: dict[str, Delegation] = {}
        self.parked: dict[tuple[str, int, int], fold.Parked] = {}
        self.large_rows: dict[str, str] = {}
        self.dead_letters: list[fold.DeadLetter] = []

    def project(self, batch: Iterable[RecordedRecord]) -> list[Outcome]:
        """Fold one batch; the outcomes of the records that say something in their order, then those of the others."""
        reading = fold.resolve_unavailable(fold.translate_batch(batch), self.large_rows)
        self.dead_letters += reading.dead_letters
        view = WorkingSet(map(state, self.rows.values()), self._holders(), self.parked.values())
        outcomes = [view.apply(record, translation) for record, translation in reading.records]
        self._write(view.changes())
        return outcomes + list(reading.outcomes.elements()) + [Outcome.DEAD_LETTER] * len(reading.dead_letters)

    def _holders(self) -> dict[tuple[str, str], str]:
        rows = self.rows.values()
        return {(row.caller_id, row.idempotency_key): row.delegation_id for row in rows if row.idempotency_key}

    def _write(self, changes: Changes) -> None:
        self.rows.update({row.delegation_id: row for row in changes.inserted})
        for row in changes.updated:
            self.rows[row.delegation_id] = self.rows[row.delegation_id]._replace(**row._asdict())
        healed = set(changes.requested)
        self.parked = {at: each for at, each in self.parked.items() if each.event.delegation_id not in healed}
        for each in changes.parked:
            self.parked.setdefault((each.topic, each.partition, each.offset), each)


def folded(*batches: Iterable[RecordedRecord]) -> Memory:
    memory = Memory()
    for batch in batches:
        memory.project(batch)
    return memory


def cut(records: Sequence[RecordedRecord], places: Iterable[int]) -> Iterator[Sequence[RecordedRecord]]:
    """The records in pieces, cut at these places."""
    ends = sorted({0, len(records), *(place for place in places if 0 < place < len(records))})
    for start, end in itertools.pairwise(ends):
        yield records[start:end]


def said(value: object, timestamp: int | None = None) -> Translation:
    """What one record says of a delegation; fails where it says nothing."""
    reading = fold.translate_batch([record(value, timestamp=timestamp)])
    assert reading.records, reading
    return reading.records[0].translation


def outcome(value: object, timestamp: int | None = None) -> Outcome:
    """How one record ends in an empty view."""
    [ended] = folded_outcomes(record(value, timestamp=timestamp))
    return ended


def folded_outcomes(*records: RecordedRecord) -> list[Outcome]:
    memory = Memory()
    return [ended for each in records for ended in memory.project([each])]


def dead(value: object, timestamp: int | None = None) -> tuple[str | None, str]:
    """The field and the reason of a dead letter; fails where it is none."""
    memory = folded([record(value, timestamp=timestamp)])
    assert memory.dead_letters, f"no dead letter: {value!r}"
    return memory.dead_letters[0].field, memory.dead_letters[0].reason


def request_of(value: object, timestamp: int | None = None) -> Requested:
    request = said(value, timestamp).request
    assert request is not None
    return request


def report_of(value: object, timestamp: int | None = None) -> Reported:
    report = said(value, timestamp).report
    assert isinstance(report, Reported)
    return report
