"""A model of the result push: which ends must be told, each exactly once, and with which text and status.

It is written from the rules of the push, without code of `projector`. An end counts if its record lies at or after the
position at which push was switched on, and its time lies around that moment or later. What is sent depends on the ends
that are known when the reply is due, so there is one right reply per end that was known, and the last one is final.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import psycopg
from psycopg.rows import args_row

from testbed.oracle.envelopes import NoEvent, without_wrapping
from testbed.oracle.fields import EPOCH
from testbed.oracle.fold import Oracle
from testbed.oracle.log import LogRecord
from testbed.oracle.reading import Event, Reader
from testbed.oracle.rows import IN_FLIGHT, Row

CLOCK_TOLERANCE = timedelta(minutes=5)
AFTER_REPORT = timedelta(seconds=2)
AFTER_EMPTY_RESULT = timedelta(seconds=30)
AFTER_VERDICT = timedelta(seconds=60)
LONGEST_WAIT = timedelta(hours=24)
AGREEING = ("inserted", "advanced", "filled", "duplicate")


class SwitchedOn(NamedTuple):
    """When push was switched on for a topic, and the position per partition; one without a position counts from 0."""

    at: datetime
    positions: Mapping[int, int]


class Reply(NamedTuple):
    """What the caller must read, and not before `due_at`."""

    status: Literal["ok", "error"]
    text: str
    due_at: datetime


class Told(NamedTuple):
    """A delegation whose end must be told. `replies`: the right one after each further end; the last one is final."""

    caller_id: str
    callee_id: str
    replies: tuple[Reply, ...]


class _End(NamedTuple):
    """A terminal report or verdict, with the outcome of its record."""

    is_verdict: bool
    status: str
    text: str
    at: datetime
    is_recent: bool
    outcome: str


class EndsToTell:
    """The ends of a log whose records are added in order."""

    def __init__(self, switched_on: SwitchedOn) -> None:
        self._switched_on = switched_on
        self._oracle, self._reader = Oracle(), Reader()
        self._ends: defaultdict[str, list[_End]] = defaultdict(list)
        self._seen: set[tuple[str, int, int]] = set()

    def add(self, record: LogRecord, *, now: datetime) -> None:
        """`now` is the end of the observation: an end that is dated more than five minutes after it is not told."""
        event = self._reader.read(record.value, record.timestamp)
        outcome = self._oracle.apply_as(record, event)
        place = record.topic, record.partition, record.offset
        if isinstance(event, NoEvent) or event.status in (None, *IN_FLIGHT) or place in self._seen:
            return
        self._seen.add(place)
        if record.offset >= self._switched_on.positions.get(record.partition, 0):
            at = _time_for_window(record, event)
            is_recent = self._switched_on.at - CLOCK_TOLERANCE <= at <= now + CLOCK_TOLERANCE
            self._ends[event.delegation_id].append(_end(event, is_recent, outcome))

    def told(self, *, grace: timedelta) -> dict[str, Told]:
        """Return what must be told of the records so far, per delegation; `grace` is that of a deadline."""
        rows = self._oracle.rows
        found = {each: _told(rows[each], ends, grace) for each, ends in self._ends.items() if each in rows}
        return {delegation_id: each for delegation_id, each in found.items() if each is not None}


def ends_to_tell(
    log: Iterable[LogRecord], switched_on: SwitchedOn, *, now: datetime, grace: timedelta
) -> dict[str, Told]:
    """Return what must be told of a log whose records are given in order, per delegation."""
    ends = EndsToTell(switched_on)
    for record in log:
        ends.add(record, now=now)
    return ends.told(grace=grace)


def _time_for_window(record: LogRecord, event: Event) -> datetime:
    """A bare `delegate` row has the time of its request, also when it was updated: then the record's time counts."""
    assert record.value is not None
    content = without_wrapping(record.value)
    if event.request is None or not isinstance(content, dict) or "activity_type" not in content or "__op" in content:
        return event.at
    return event.at if record.timestamp is None else EPOCH + timedelta(milliseconds=record.timestamp)


def _end(event: Event, is_recent: bool, outcome: str) -> _End:
    assert event.status is not None
    is_verdict = event.kind == "verdict" or event.status == "stuck"
    return _End(is_verdict, event.status, event.text or event.error or "", event.at, is_recent, outcome)


def _told(row: Row, ends: list[_End], grace: timedelta) -> Told | None:
    """A row that is terminal by an agreeing end within the window; `parked` ends were applied with their request."""
    agreeing = [end for end in ends if end.status == row.status and end.outcome in (*AGREEING, "parked")]
    if row.status in IN_FLIGHT or not any(end.is_recent for end in agreeing):
        return None
    first = ends.index(agreeing[0])
    known = (ends[:count] for count in range(first + 1, len(ends) + 1))
    replies = [_reply(row, [end for end in each if end.outcome != "stale"], grace) for each in known]
    earliest = accumulate((reply.due_at for reply in replies), min)  # a better end never delays the reply
    sooner = (reply._replace(due_at=due_at) for reply, due_at in zip(replies, earliest, strict=True))
    return Told(row.caller_id, row.callee_id, tuple(sooner))


def _reply(row: Row, ends: list[_End], grace: timedelta) -> Reply:
    agreeing = [end for end in ends if end.status == row.status]
    if agreeing[0].is_verdict:
        sent = next((end for end in ends if not end.is_verdict), agreeing[0])
    else:
        reports = [end for end in agreeing if not end.is_verdict]
        sent = next((end for end in reports if end.text), reports[0])
    due_at = sent.at if agreeing[0].is_verdict and not sent.is_verdict else _due_at(row, sent, grace)
    return Reply("ok" if sent.status == "completed" else "error", sent.text, due_at)


def _due_at(row: Row, end: _End, grace: timedelta) -> datetime:
    if end.is_verdict:
        return min(max(row.deadline + grace, end.at + AFTER_VERDICT), end.at + LONGEST_WAIT)
    return end.at + (AFTER_EMPTY_RESULT if end.status == "completed" and not end.text else AFTER_REPORT)


class InboxRow(NamedTuple):
    """A reply in a caller's inbox; `is_truncated`: the source row was gone, and the text is a preview."""

    delegation_id: str
    workspace_id: str
    target_id: str | None
    status: str | None
    text: str | None
    error_detail: str | None
    is_truncated: bool
    created_at: datetime


def read_inbox(conn: psycopg.Connection[Any]) -> list[InboxRow]:
    """Read every reply about a delegation, of the push or of the platform, oldest first."""
    with conn.cursor(row_factory=args_row(InboxRow)) as cursor:
        cursor.execute(
            """SELECT coalesce(request_body ->> 'delegation_id', response_body ->> 'delegation_id'),
                      workspace_id::text, target_id::text, status, response_body ->> 'text', error_detail,
                      coalesce((response_body ->> 'truncated')::boolean, false), created_at
                 FROM activity_logs
                WHERE activity_type = 'a2a_receive' AND method = 'delegate_result'
                ORDER BY created_at"""
        )
        return list(cursor)


def inbox_differences(told: Mapping[str, Told], inbox: Iterable[InboxRow]) -> list[str]:
    """Return one sentence per reply that is missing, repeated, wrong, early, or about an end that is not told."""
    rows = sorted(inbox, key=lambda row: row.created_at)
    counts = Counter(row.delegation_id for row in rows)
    first = {row.delegation_id: row for row in reversed(rows)}
    sentences = [f"{each}: no reply" for each in sorted(told.keys() - counts.keys())]
    sentences += [f"{each}: {count} replies" for each, count in sorted(counts.items()) if count > 1]
    for row in rows:
        if row.delegation_id not in told:
            sentences.append(f"{row.delegation_id}: a reply of {row.created_at} about an end that is not told")
        elif row is first[row.delegation_id]:
            sentences += _wrong_parts(told[row.delegation_id], row)
    return sentences


def _wrong_parts(told: Told, row: InboxRow) -> list[str]:
    found = []
    if (row.workspace_id, row.target_id) != (told.caller_id, told.callee_id):
        found.append(f"from {row.target_id} to {row.workspace_id}, expected from {told.callee_id} to {told.caller_id}")
    right = [reply for reply in told.replies if (reply.status, reply.text) == (row.status, row.text)]
    if not right:
        wanted = " or ".join(f"{reply.status} {_short(reply.text)}" for reply in dict.fromkeys(told.replies))
        found.append(f"the reply is {row.status} {_short(row.text)}, expected {wanted}")
    elif row.created_at < min(reply.due_at for reply in right):
        found.append(f"sent at {row.created_at}, due at {min(reply.due_at for reply in right)}")
    if row.status == "error" and (row.error_detail or "") != row.text:
        found.append(f"error_detail is {_short(row.error_detail)}, expected the text {_short(row.text)}")
    return [f"{row.delegation_id}: {part}" for part in found]


def _short(text: str | None) -> str:
    return repr(text) if text is None or len(text) <= 60 else f"{text[:50]!r}… ({len(text)} characters)"
