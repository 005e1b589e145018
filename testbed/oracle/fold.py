"""Folds records in log order into the rows of `delegations` (events/README.md, section 4)."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from testbed.oracle.envelopes import NoEvent
from testbed.oracle.log import LogRecord, merge_partitions
from testbed.oracle.reading import Event, Reader, Request
from testbed.oracle.rows import Row, apply_event, new_row


class DeadLetter(NamedTuple):
    partition: int
    offset: int
    reason: str


class ParkedEvent(NamedTuple):
    """An event that waits for its request, with the coordinates of its record."""

    topic: str
    partition: int
    offset: int
    event: Event


class RepeatedRequest(NamedTuple):
    """A request that made no row, since the delegation `holder_id` holds its key."""

    delegation_id: str
    holder_id: str
    topic: str
    partition: int
    offset: int
    requested_at: datetime


class Expected(NamedTuple):
    """The expected result of a whole log.

    `parked` counts the parked events per delegation, `parked_events` lists them in the order of parking, and
    `repeated` has the first repeated request per delegation.
    """

    rows: dict[str, Row]
    outcomes: Counter[str]
    parked: dict[str, int]
    dead_letters: list[DeadLetter]
    parked_events: list[ParkedEvent]
    repeated: dict[str, RepeatedRequest]
    large_rows: dict[str, str]


class Oracle:
    """Folds one record after the other, in log order."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.outcomes: Counter[str] = Counter()
        self.dead_letters: list[DeadLetter] = []
        self.repeated: dict[str, RepeatedRequest] = {}
        self._reader = Reader()
        self._holders: dict[tuple[str, str | None], str] = {}
        self._parked: dict[str, dict[ParkedEvent, None]] = {}

    def apply(self, record: LogRecord) -> str:
        """Apply a record and return its outcome."""
        return self.apply_as(record, self._reader.read(record.value, record.timestamp))

    def apply_as(self, record: LogRecord, event: Event | NoEvent) -> str:
        """Apply a record that was read as this event; a reader must read every record of the log."""
        outcome = event.outcome if isinstance(event, NoEvent) else self._apply(record, event)
        self.outcomes[outcome] += 1
        if isinstance(event, NoEvent) and outcome == "dead_letter":
            self.dead_letters.append(DeadLetter(record.partition, record.offset, event.reason))
        return outcome

    def expected(self) -> Expected:
        """Return the expected result of the records so far."""
        parked = {delegation_id: len(events) for delegation_id, events in self._parked.items()}
        events = [event for events in self._parked.values() for event in events]
        return Expected(
            self.rows, self.outcomes, parked, self.dead_letters, events, self.repeated, self._reader.large_rows
        )

    def _apply(self, record: LogRecord, event: Event) -> str:
        if event.request is not None:
            holder_id = self._holders.get(_key(event.request), event.delegation_id)
            if holder_id != event.delegation_id:
                self._remember(record, event.delegation_id, holder_id, event.request)
                return "duplicate"
            if event.delegation_id not in self.rows:
                return self._insert(event, event.request)
        row = self.rows.get(event.delegation_id)
        return self._park(record, event) if row is None else apply_event(row, event)

    def _insert(self, event: Event, request: Request) -> str:
        row = self.rows[event.delegation_id] = new_row(event.delegation_id, request)
        if request.idempotency_key is not None:
            self._holders[_key(request)] = event.delegation_id
        for parked in self._parked.pop(event.delegation_id, {}):
            apply_event(row, parked.event)
        apply_event(row, event)
        return "inserted"

    def _park(self, record: LogRecord, event: Event) -> str:
        """Park an event, once however often its record is read."""
        parked = ParkedEvent(record.topic, record.partition, record.offset, event)
        self._parked.setdefault(event.delegation_id, {})[parked] = None
        return "parked"

    def _remember(self, record: LogRecord, delegation_id: str, holder_id: str, request: Request) -> None:
        """Remember a repeated request, unless its delegation has a row through another request."""
        if delegation_id not in self.rows:
            place = record.topic, record.partition, record.offset
            repeated = RepeatedRequest(delegation_id, holder_id, *place, request.created_at)
            self.repeated.setdefault(delegation_id, repeated)


def _key(request: Request) -> tuple[str, str | None]:
    return request.caller_id, request.idempotency_key


def fold_in_order(records: Iterable[LogRecord]) -> Expected:
    """Fold records in the order in which they are given, such as that of the lines of a recording."""
    oracle = Oracle()
    for record in records:
        oracle.apply(record)
    return oracle.expected()


def fold_log(records: Iterable[LogRecord]) -> Expected:
    """Fold the records of a topic, given in any order; partitions are merged by their timestamps."""
    return fold_in_order(merge_partitions(records))
