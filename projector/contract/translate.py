"""What an activity row means for a delegation: the rules of CONTRACT §3, from a record to events."""

import json
from datetime import datetime
from typing import NamedTuple

from projector.contract import fields
from projector.contract.envelope import (
    UNAVAILABLE_VALUE,
    Activity,
    Body,
    Envelope,
    Record,
    Row,
    is_unrelated,
    open_value,
    read_body,
)
from projector.contract.facts import DEFAULT_DEADLINE, FAILED, Heartbeat, NoEvent, Reported, Requested, Status
from projector.contract.unreadable import Unreadable, shown

LARGE_ROW_BYTES = 1500
"""From here on Postgres may move a body out of line, and a change feed may leave it out of an update."""

STATUS_OF_ROW = {
    "pending": Status.QUEUED,
    "queued": Status.QUEUED,
    "dispatched": Status.DISPATCHED,
    "received": Status.IN_PROGRESS,
    "delivered": Status.IN_PROGRESS,
    "in_progress": Status.IN_PROGRESS,
    "completed": Status.COMPLETED,
    "failed": Status.FAILED,
    "error": Status.FAILED,
    "timeout": Status.FAILED,
    "stuck": Status.STUCK,
}


class Translation(NamedTuple):
    """What a record says of one delegation.

    Where a body was left out, `recalled` is the activity row's id, under which the delegation's id was remembered; if
    `delegation_id` is empty, it is the one remembered. `large_row_id` is the row's id where later updates may leave
    bodies out.
    """

    delegation_id: str
    request: Requested | None
    report: Reported | Heartbeat
    unavailable_row_id: str | None = None
    large_row_id: str | None = None


def translate(record: Record) -> Translation | NoEvent:
    """Read a record: what it says, or the outcome of one that says nothing (unrelated, uncorrelated, tombstone).

    Raises Unreadable where it is a dead letter.
    """
    if record.value and is_unrelated(record.value):
        return NoEvent.UNRELATED
    activity = open_value(record.value)
    if activity is None:
        return NoEvent.TOMBSTONE
    row = activity.row
    kind = row.get("activity_type")
    if kind != "delegation":
        if isinstance(kind, str):
            return NoEvent.UNRELATED
        raise Unreadable(f"activity_type must be a text: found {shown(kind)}", "activity_type")
    translation = _read(row, _RowTranslator(activity, record.timestamp))
    if translation is None:
        return NoEvent.UNCORRELATED
    if record.value and len(record.value) > LARGE_ROW_BYTES and _is_large(row):
        return translation._replace(large_row_id=_row_id(row))
    return translation


def _read(row: Row, reading: "_RowTranslator") -> Translation | None:
    match row.get("method"):
        case "delegate":
            return reading.delegate(_status(row))
        case "delegate_result":
            return reading.result(_status(row))
        case "heartbeat":
            return reading.heartbeat()
        case method:
            reason = f"unknown method {shown(method)}: expected delegate, delegate_result or heartbeat"
            raise Unreadable(reason, "method")


def _status(row: Row) -> Status:
    status = row.get("status")
    if isinstance(status, str) and status in STATUS_OF_ROW:
        return STATUS_OF_ROW[status]
    raise Unreadable(f"unknown status {shown(status)}: expected one of {', '.join(STATUS_OF_ROW)}", "status")


def row_never_seen(field: str | None = None) -> Unreadable:
    """The dead letter of a row whose body was left out, and that never came with it."""
    return Unreadable(
        "the change feed left out a large unchanged body, and this row never came with it: set REPLICA IDENTITY FULL "
        "on activity_logs, or let the connector reselect request_body and response_body alone, without null columns; "
        "then retry the dead letter",
        field,
    )


class _RowTranslator:
    """One row being read; each method reads only what its rule uses."""

    def __init__(self, activity: Activity, timestamp: int | None) -> None:
        self.activity = activity
        self.row = activity.row
        self.timestamp = timestamp
        self.unavailable_row_id: str | None = None

    def delegate(self, status: Status) -> Translation:
        row = self.row
        body = self._body("request_body", row.get("request_body"))
        delegation_id = fields.identifier(body.get("delegation_id"), "request_body.delegation_id") or ""
        if not delegation_id and not self.unavailable_row_id:
            raise fields.missing("request_body.delegation_id")
        caller = "workspace_id" if row.get("source_id") is None else "source_id"
        created_at = self._created_at()
        request = Requested(
            delegation_id=delegation_id,
            caller_id=fields.required(fields.uuid(row.get(caller), caller), caller),
            callee_id=fields.required(fields.uuid(row.get("target_id"), "target_id"), "target_id"),
            task_preview=fields.preview(body.get("task"), "request_body.task") or "",
            idempotency_key=fields.identifier(_available(row.get("idempotency_key")), "idempotency_key"),
            deadline=fields.time(body.get("deadline"), "request_body.deadline") or _default_deadline(created_at),
            created_at=created_at,
        )
        happened_at = self._happened_at() if self.activity.time is not None or self.activity.is_update else created_at
        report = self._report(delegation_id, status, happened_at)
        return Translation(delegation_id, request, report, self.unavailable_row_id)

    def result(self, status: Status) -> Translation | None:
        response = self._body("response_body", self.row.get("response_body"))
        delegation_id = fields.identifier(response.get("delegation_id"), "response_body.delegation_id") or ""
        if not delegation_id and not self.unavailable_row_id:
            delegation_id = self._requested_id()
        if not delegation_id and not self.unavailable_row_id:
            return None
        report = self._report(delegation_id, status, self._happened_at(), response)
        return Translation(delegation_id, None, report, self.unavailable_row_id)

    def heartbeat(self) -> Translation | None:
        delegation_id = self._requested_id()
        if not delegation_id and not self.unavailable_row_id:
            return None
        return Translation(delegation_id, None, Heartbeat(delegation_id, self._happened_at()), self.unavailable_row_id)

    def _requested_id(self) -> str:
        request = self._body("request_body", self.row.get("request_body"))
        return fields.identifier(request.get("delegation_id"), "request_body.delegation_id") or ""

    def _report(self, delegation_id: str, status: Status, at: datetime, response: Body | None = None) -> Reported:
        result = error = None
        if status is Status.COMPLETED:
            if response is None:
                response = self._body("response_body", self.row.get("response_body"))
            result = fields.preview(response.get("text"), "response_body.text")
        elif status in FAILED:
            error = fields.preview(_available(self.row.get("error_detail")), "error_detail")
            if error is None:
                if response is None:
                    response = self._body("response_body", self.row.get("response_body"))
                error = fields.preview(response.get("error"), "response_body.error")
        return Reported(delegation_id, status, at, result, error)

    def _body(self, field: str, column: object) -> Body:
        """The body in a column; one that was left out is empty, and its row's id is recalled."""
        if column is None:
            return {}
        if column == UNAVAILABLE_VALUE:
            self.unavailable_row_id = _row_id(self.row)
            if self.unavailable_row_id is None:
                raise row_never_seen(field)
            return {}
        return read_body(column, field)

    def _created_at(self) -> datetime:
        created_at = fields.time(self.row.get("created_at"), "created_at")
        if created_at is None and self.activity.envelope is Envelope.CLOUD_EVENT:
            created_at = fields.time(self.activity.time, "time")
        return created_at or self._recorded_at("created_at")

    def _happened_at(self) -> datetime:
        activity = self.activity
        if activity.is_update:
            field = "__source_ts_ms" if activity.envelope is Envelope.UNWRAPPED else "source.ts_ms"
            return fields.epoch_ms(activity.time, field) or self._recorded_at(field)
        if activity.envelope is Envelope.CLOUD_EVENT and activity.time is not None:
            return fields.required(fields.time(activity.time, "time"), "time")
        return fields.time(self.row.get("created_at"), "created_at") or self._recorded_at("created_at")

    def _recorded_at(self, field: str) -> datetime:
        """The record's own timestamp, where the value carries no time."""
        if self.timestamp is None or self.timestamp < 0:
            raise Unreadable(f"{field} is missing, and the record has no timestamp to take for it", field)
        return fields.required(fields.epoch_ms(self.timestamp, "timestamp"), "timestamp")


def _available(column: object) -> object:
    """A text column's value; one that the change feed left out is none, as the earlier image of the row had it."""
    return None if column == UNAVAILABLE_VALUE else column


def _default_deadline(created_at: datetime) -> datetime:
    try:
        return created_at + DEFAULT_DEADLINE
    except OverflowError:
        reason = f"no deadline: created_at + {DEFAULT_DEADLINE} is past the year 9999"
        raise Unreadable(reason, "created_at") from None


def _row_id(row: Row) -> str | None:
    try:
        return fields.uuid(row.get("id"), "id")
    except Unreadable:
        return None


def _is_large(row: Row) -> bool:
    """Whether the texts of the row's columns have more than 1,500 bytes together."""
    least = 0  # a lower bound that costs nothing, and says enough of most rows
    for column in row.values():
        if isinstance(column, dict):
            for text in column.values():
                if isinstance(text, str):
                    least += len(text)
        elif isinstance(column, str):
            least += len(column)
        if least > LARGE_ROW_BYTES:
            return True
    return sum(map(_bytes, row.values())) > LARGE_ROW_BYTES


def _bytes(column: object) -> int:
    if column is None:
        return 0
    text = column if isinstance(column, str) else json.dumps(column, ensure_ascii=False, separators=(",", ":"))
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
