"""Folds records in log order into the rows of `delegations` (events/README.md, section 4)."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from testbed.oracle.envelopes import NoEvent
from testbed.oracle.reading import Event, Reader, Request

IN_FLIGHT = ["queued", "dispatched", "in_progress"]
PREVIEW_LIMIT_BYTES = 4096


class LogRecord(Protocol):
    """The fields of a record that the oracle reads."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int | None: ...
    @property
    def value(self) -> bytes | None: ...


@dataclass
class Row:
    """A row of `delegations`, column by column."""

    delegation_id: str
    caller_id: str
    callee_id: str
    task_preview: str
    status: str
    last_heartbeat: datetime | None
    deadline: datetime
    result_preview: str | None
    error_detail: str | None
    retry_count: int
    created_at: datetime
    updated_at: datetime
    idempotency_key: str | None


class DeadLetter(NamedTuple):
    partition: int
    offset: int
    reason: str


class Expected(NamedTuple):
    """The expected result of a whole log; `parked` counts the parked events per delegation."""

    rows: dict[str, Row]
    outcomes: Counter[str]
    parked: dict[str, int]
    dead_letters: list[DeadLetter]


class Oracle:
    """Folds one record after the other, in log order."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.outcomes: Counter[str] = Counter()
        self.dead_letters: list[DeadLetter] = []
        self._reader = Reader()
        self._keys: set[tuple[str, str]] = set()
        self._parked: defaultdict[str, list[Event]] = defaultdict(list)

    def apply(self, record: LogRecord) -> str:
        """Apply a record and return its outcome."""
        event = self._reader.read(record.value, record.timestamp)
        outcome = event.outcome if isinstance(event, NoEvent) else self._apply(event)
        self.outcomes[outcome] += 1
        if isinstance(event, NoEvent) and outcome == "dead_letter":
            self.dead_letters.append(DeadLetter(record.partition, record.offset, event.reason))
        return outcome

    def expected(self) -> Expected:
        """Return the expected result of the records so far."""
        parked = {delegation_id: len(events) for delegation_id, events in self._parked.items()}
        return Expected(self.rows, self.outcomes, parked, self.dead_letters)

    def _apply(self, event: Event) -> str:
        row = self.rows.get(event.delegation_id)
        if row is not None:
            return apply_heartbeat(row, event.at) if event.status is None else apply_status(row, event)
        if event.request is None:
            self._parked[event.delegation_id].append(event)
            return "parked"
        return self._insert(event, event.request)

    def _insert(self, event: Event, request: Request) -> str:
        if request.idempotency_key is not None:
            key = (request.caller_id, request.idempotency_key)
            if key in self._keys:
                return "duplicate"
            self._keys.add(key)
        self.rows[event.delegation_id] = new_row(event.delegation_id, request)
        for pending in [*self._parked.pop(event.delegation_id, []), event]:
            self._apply(pending)
        return "inserted"


def fold_log(records: Iterable[LogRecord]) -> Expected:
    """Fold records, given in any order."""
    oracle = Oracle()
    for record in sorted(records, key=lambda record: (record.partition, record.offset)):
        oracle.apply(record)
    return oracle.expected()


def new_row(delegation_id: str, request: Request) -> Row:
    """Return the row of a request, before the status of its record."""
    return Row(
        delegation_id=delegation_id,
        caller_id=request.caller_id,
        callee_id=request.callee_id,
        task_preview=preview(request.task) or "",
        status="queued",
        last_heartbeat=None,
        deadline=request.deadline,
        result_preview=None,
        error_detail=None,
        retry_count=0,
        created_at=request.created_at,
        updated_at=request.created_at,
        idempotency_key=request.idempotency_key,
    )


def apply_heartbeat(row: Row, at: datetime) -> str:
    """Apply a heartbeat in place; returns the outcome."""
    if row.status not in IN_FLIGHT:
        return "refused"
    row.last_heartbeat = at if row.last_heartbeat is None else max(row.last_heartbeat, at)
    row.updated_at = max(row.updated_at, at)
    return "heartbeat"


def apply_status(row: Row, event: Event) -> str:
    """Apply a status in place; returns the outcome. For an existing row, only the status of a request counts."""
    assert event.status is not None
    if row.status == event.status:
        return fill_preview(row, event)
    if row.status not in IN_FLIGHT:
        return "refused"
    if event.status in IN_FLIGHT and IN_FLIGHT.index(event.status) < IN_FLIGHT.index(row.status):
        return "stale"
    row.status = event.status
    row.result_preview = preview(event.text)
    row.error_detail = preview(event.error)
    row.updated_at = max(row.updated_at, event.at)
    return "advanced"


def fill_preview(row: Row, event: Event) -> str:
    """Fill an empty preview once, for the status that the row already has; returns the outcome."""
    if event.text and row.result_preview is None:
        row.result_preview = preview(event.text)
    elif event.error and row.error_detail is None:
        row.error_detail = preview(event.error)
    else:
        return "duplicate"
    row.updated_at = max(row.updated_at, event.at)
    return "filled"


def preview(text: str | None) -> str | None:
    """Cut a text to 4 KiB, between characters."""
    return None if text is None else text.encode()[:PREVIEW_LIMIT_BYTES].decode(errors="ignore")
