"""Reads a row by the contract (events/README.md, sections 2 and 3), without code of `projector`."""

import json
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from testbed.oracle.envelopes import NoEvent, RowImage, open_envelope
from testbed.oracle.fields import (
    UUID,
    Unreadable,
    column_time,
    first_time,
    identifier,
    strict_json,
    text_or_none,
    uuid_text,
)

UNAVAILABLE_VALUE = "__debezium_unavailable_value"
LARGE_ROW_BYTES = 1500
STATUSES = {
    "pending": "queued",
    "queued": "queued",
    "dispatched": "dispatched",
    "received": "in_progress",
    "delivered": "in_progress",
    "in_progress": "in_progress",
    "completed": "completed",
    "failed": "failed",
    "error": "failed",
    "timeout": "failed",
    "stuck": "stuck",
}


class Request(NamedTuple):
    caller_id: str
    callee_id: str
    task: str
    idempotency_key: str | None
    created_at: datetime
    deadline: datetime


class Event(NamedTuple):
    """An event of a delegation. A heartbeat has no `status`, a `delegate` row has a `request`.

    `kind` is that of a parked event. `silent_since` is the evidence of a verdict. Without it, a verdict is applied as
    a status.
    """

    delegation_id: str
    kind: Literal["status", "heartbeat", "verdict"]
    at: datetime
    status: str | None = None
    text: str | None = None
    error: str | None = None
    silent_since: datetime | None = None
    request: Request | None = None


class Reader:
    """Reads records in log order; `large_rows` maps the id of each large activity row to its delegation id."""

    def __init__(self) -> None:
        self.large_rows: dict[str, str] = {}

    def read(self, value: bytes | None, timestamp: int | None) -> Event | NoEvent:
        """Read a record; `timestamp` in ms."""
        try:
            image = open_envelope(value, timestamp)
            return image if isinstance(image, NoEvent) else self._read_row(image)
        except Unreadable as reason:
            return NoEvent("dead_letter", str(reason))

    def _read_row(self, image: RowImage) -> Event | NoEvent:
        row = image.row
        if not isinstance(row.get("activity_type"), str):
            raise Unreadable("activity_type is no text")
        if row["activity_type"] != "delegation":
            return NoEvent("unrelated", row["activity_type"])
        match row.get("method"):
            case "delegate" | "delegate_result" | "heartbeat" as method:
                event = self._event(image, method)
            case "verdict":
                event = _verdict(image)
            case _:
                raise Unreadable("unknown method")
        if event is None:
            return NoEvent("uncorrelated", row["method"])
        self._store_large_row(row, event.delegation_id)
        return event

    def _event(self, image: RowImage, method: str) -> Event | None:
        row = image.row
        status = None if method == "heartbeat" else _status(row)
        delegation_id = self._delegation_id(row, method)
        if delegation_id is None:
            if method == "delegate":
                raise Unreadable("no delegation id")
            return None
        text = self._result_text(row) if status == "completed" else None
        error = self._error(row) if status in ("failed", "stuck") else None
        request = self._request(image) if method == "delegate" else None
        kind: Literal["status", "heartbeat"] = "heartbeat" if status is None else "status"
        return Event(delegation_id, kind, first_time(image.at), status, text, error, request=request)

    def _delegation_id(self, row: dict[str, Any], method: str) -> str | None:
        fields = ["response_body", "request_body"] if method == "delegate_result" else ["request_body"]
        for field in fields:
            content = body(row, field)
            if content is None:
                return self._stored_delegation_id(row, field)
            if (value := identifier(content.get("delegation_id"), f"{field}.delegation_id")) is not None:
                return value
        return None

    def _result_text(self, row: dict[str, Any]) -> str | None:
        return text_or_none(self._present(row, "response_body").get("text"), "response_body.text")

    def _error(self, row: dict[str, Any]) -> str | None:
        detail = text_or_none(column(row, "error_detail"), "error_detail")
        return detail or text_or_none(self._present(row, "response_body").get("error"), "response_body.error")

    def _request(self, image: RowImage) -> Request:
        row, content = image.row, self._present(image.row, "request_body")
        caller = row.get("workspace_id") if row.get("source_id") is None else row["source_id"]
        created_at = first_time(image.created_at)
        return Request(
            uuid_text(caller, "source_id or workspace_id"),
            uuid_text(row.get("target_id"), "target_id"),
            text_or_none(content.get("task"), "request_body.task") or "",
            identifier(column(row, "idempotency_key"), "idempotency_key"),
            created_at,
            _six_hours_after(created_at) if content.get("deadline") is None else column_time(content["deadline"]),
        )

    def _present(self, row: dict[str, Any], field: str) -> dict[str, Any]:
        """Return the body; empty if the change feed omitted it from an update of a known large row."""
        content = body(row, field)
        if content is None:
            self._stored_delegation_id(row, field)
        return content or {}

    def _stored_delegation_id(self, row: dict[str, Any], field: str) -> str:
        row_id = row.get("id")
        if not isinstance(row_id, str) or row_id.lower() not in self.large_rows:
            raise Unreadable(f"{field} is unavailable, and its earlier row was never seen")
        return self.large_rows[row_id.lower()]

    def _store_large_row(self, row: dict[str, Any], delegation_id: str) -> None:
        row_id = row.get("id")
        if isinstance(row_id, str) and UUID.fullmatch(row_id) and size(row) > LARGE_ROW_BYTES:
            self.large_rows[row_id.lower()] = delegation_id


def _verdict(image: RowImage) -> Event:
    """Read what a sweeper judged; of its row, only four columns and the time are used."""
    row = image.row
    if row.get("status") not in ("stuck", "failed"):
        raise Unreadable("the status of a verdict is neither stuck nor failed")
    content = body(row, "request_body")
    if content is None:
        raise Unreadable("request_body of a verdict is unavailable")
    delegation_id = identifier(content.get("delegation_id"), "request_body.delegation_id")
    if delegation_id is None:
        raise Unreadable("no delegation id")
    silent_since = None if content.get("silent_since") is None else column_time(content["silent_since"])
    if silent_since is None and row["status"] == "stuck":
        raise Unreadable("a verdict without silent_since")
    error = text_or_none(column(row, "error_detail"), "error_detail")
    return Event(delegation_id, "verdict", first_time(image.at), row["status"], None, error, silent_since)


def _status(row: dict[str, Any]) -> str:
    status = row.get("status")
    if not isinstance(status, str) or status not in STATUSES:
        raise Unreadable("unknown status")
    return STATUSES[status]


def column(row: dict[str, Any], name: str) -> Any:
    """Return the column; None if it is unavailable, since an omitted value did not change."""
    return None if row.get(name) == UNAVAILABLE_VALUE else row.get(name)


def body(row: dict[str, Any], field: str) -> dict[str, Any] | None:
    """Return the body as an object; empty if it is another JSON type, None if it is unavailable."""
    content = row.get(field)
    if content == UNAVAILABLE_VALUE:
        return None
    if isinstance(content, str):
        content = strict_json(content, field)
    return content if isinstance(content, dict) else {}


def _six_hours_after(created_at: datetime) -> datetime:
    try:
        return created_at + timedelta(hours=6)
    except OverflowError as reason:
        raise Unreadable("a deadline out of range") from reason


def size(row: dict[str, Any]) -> int:
    """Return the bytes of all columns together; Postgres stores columns of large rows out of line."""
    columns = (content for content in row.values() if content is not None)
    return sum(len(_column_text(content).encode(errors="surrogatepass")) for content in columns)


def _column_text(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, separators=(",", ":"), ensure_ascii=False)
