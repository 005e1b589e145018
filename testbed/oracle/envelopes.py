"""Opens envelopes: returns the row of a record and the candidates for its times (events/README.md, section 1)."""

import base64
from typing import Any, NamedTuple

from testbed.oracle.fields import Candidate, Unreadable, column_time, ms_time, strict_json


class NoEvent(NamedTuple):
    """A record without an event of a delegation: its outcome and the reason."""

    outcome: str
    reason: str


class RowImage(NamedTuple):
    """A row and the candidates for its times, first choice first."""

    row: dict[str, Any]
    at: list[Candidate]
    created_at: list[Candidate]


def open_envelope(value: bytes | None, timestamp: int | None) -> RowImage | NoEvent:
    """Open a value; raises Unreadable for a dead letter. `timestamp` is that of the record, in ms."""
    if value is None:
        return NoEvent("tombstone", "null")
    record_time = (ms_time, None if timestamp is None or timestamp < 0 else timestamp)
    content = without_wrapping(value)
    if isinstance(content, dict) and not _has_marker(content) and "schema" in content and "payload" in content:
        content = content["payload"]
    return _open(content, record_time)


def without_wrapping(value: bytes) -> Any:
    """Take off the head of a schema registry, and then the JSON text that holds the JSON."""
    if value[:1] == b"\x00" and value[5:6] == b"{":
        value = value[5:]
    content = strict_json(value)
    return strict_json(content) if isinstance(content, str) else content


def _open(content: Any, record_time: Candidate) -> RowImage | NoEvent:
    if content is None:
        return NoEvent("tombstone", "JSON null")
    if not isinstance(content, dict):
        raise Unreadable("not an object")
    if "activity_type" in content:
        return _bare_row(content, record_time)
    if content.get("op") is not None:
        return _change_event(content, record_time)
    if content.get("specversion") is not None:
        return _cloud_event(content, record_time)
    if _is_connector_record(content):
        return NoEvent("tombstone", "a record of the connector")
    raise Unreadable("in none of the envelopes")


def _has_marker(content: dict[str, Any]) -> bool:
    return "activity_type" in content or any(content.get(marker) is not None for marker in ("op", "specversion"))


def _bare_row(row: dict[str, Any], record_time: Candidate) -> RowImage | NoEvent:
    if row.get("__deleted") == "true" or row.get("__deleted") is True:
        return NoEvent("tombstone", "__deleted")
    created_at = [(column_time, row.get("created_at")), record_time]
    updated = row.get("__op") == "u"
    return RowImage(row, [(ms_time, row.get("__source_ts_ms")), record_time] if updated else created_at, created_at)


def _change_event(event: dict[str, Any], record_time: Candidate) -> RowImage | NoEvent:
    operation, row = event["op"], event.get("after")
    if operation in ("d", "t", "m"):
        return NoEvent("tombstone", f"op {operation}")
    if operation not in ("c", "r", "u"):
        raise Unreadable("unknown op")
    if not isinstance(row, dict):
        raise Unreadable("after is no object")
    source = {} if event.get("source") is None else event["source"]
    if not isinstance(source, dict):
        raise Unreadable("source is no object")
    if "activity_type" not in row:
        return _event_of_other_table(source.get("table"))
    created_at = [(column_time, row.get("created_at")), record_time]
    return RowImage(row, [(ms_time, source.get("ts_ms")), record_time] if operation == "u" else created_at, created_at)


def _event_of_other_table(table: Any) -> NoEvent:
    if not isinstance(table, str) or table == "activity_logs":
        raise Unreadable("after has no activity_type")
    return NoEvent("unrelated", f"table {table}")


def _cloud_event(event: dict[str, Any], record_time: Candidate) -> RowImage:
    row = _data(event)
    if not isinstance(row, dict):
        raise Unreadable("data is no object")
    if "activity_type" not in row and row.keys() & {"before", "after"}:
        raise Unreadable("data is written by Debezium's own CloudEvents converter, which is not read")
    time, created_at = (column_time, event.get("time")), (column_time, row.get("created_at"))
    return RowImage(row, [time, created_at, record_time], [created_at, time, record_time])


def _data(event: dict[str, Any]) -> Any:
    data = event.get("data")
    if isinstance(data, str):
        return strict_json(data, "data")
    encoded = event.get("data_base64")
    if data is not None or encoded is None:
        return data
    try:
        return strict_json(base64.b64decode(encoded, validate=True), "data_base64")
    except (TypeError, ValueError) as reason:
        raise Unreadable("data_base64 is no base64") from reason


def _is_connector_record(content: dict[str, Any]) -> bool:
    """Whether this is a connector's heartbeat or a transaction marker."""
    heartbeat = "ts_ms" in content and content.keys() <= {"ts_ms", "ts_us", "ts_ns"}
    return heartbeat or (content.get("status") in ("BEGIN", "END") and "event_count" in content)
