"""Opens envelopes: returns the row of a record and the candidates for its times (events/README.md, section 1)."""

from typing import Any, NamedTuple

from testbed.oracle.fields import Unreadable, strict_json


class NoEvent(NamedTuple):
    """A record without an event of a delegation: its outcome and the reason."""

    outcome: str
    reason: str


class RowImage(NamedTuple):
    """A row and the candidates for its times, first choice first, each with its format (`iso` or `ms`)."""

    row: dict[str, Any]
    at: list[tuple[str, Any]]
    created_at: list[tuple[str, Any]]


def open_envelope(value: bytes | None, timestamp: int | None) -> RowImage | NoEvent:
    """Open a value; raises Unreadable for a dead letter. `timestamp` is that of the record, in ms."""
    if value is None:
        return NoEvent("tombstone", "null")
    content = strict_json(value)
    if content is None:
        return NoEvent("tombstone", "JSON null")
    if not isinstance(content, dict):
        raise Unreadable("not an object")
    record_time = ("ms", None if timestamp == -1 else timestamp)
    if "schema" in content and "payload" in content and not _has_marker(content):
        content = content["payload"]
    if is_connector_record(content):
        return NoEvent("tombstone", "a record of the connector")
    if not _has_marker(content):
        raise Unreadable("in none of the envelopes")
    if content.get("op") is not None:
        return _change_event(content, record_time)
    if content.get("specversion") is not None:
        return _cloud_event(content, record_time)
    return _bare_row(content, record_time)


def _has_marker(content: Any) -> bool:
    if not isinstance(content, dict):
        return False
    return content.get("op") is not None or content.get("specversion") is not None or "activity_type" in content


def _change_event(event: dict[str, Any], record_time: tuple[str, Any]) -> RowImage | NoEvent:
    operation, row = event["op"], event.get("after")
    if operation in ("d", "t", "m"):
        return NoEvent("tombstone", f"op {operation}")
    if operation not in ("c", "r", "u"):
        raise Unreadable("unknown op")
    if not isinstance(row, dict):
        raise Unreadable("after is no object")
    created_at = [("iso", row.get("created_at")), record_time]
    if operation != "u":
        return RowImage(row, created_at, created_at)
    source = {} if event.get("source") is None else event["source"]
    changed_at = source.get("ts_ms") if isinstance(source, dict) else f"not in {source!r}"
    return RowImage(row, [("ms", changed_at), record_time], created_at)


def _cloud_event(event: dict[str, Any], record_time: tuple[str, Any]) -> RowImage:
    row = event.get("data")
    if not isinstance(row, dict):
        raise Unreadable("data is no object")
    time, created_at = ("iso", event.get("time")), ("iso", row.get("created_at"))
    return RowImage(row, [time, created_at, record_time], [created_at, time, record_time])


def _bare_row(row: dict[str, Any], record_time: tuple[str, Any]) -> RowImage | NoEvent:
    if row.get("__deleted") == "true" or row.get("__deleted") is True:
        return NoEvent("tombstone", "__deleted")
    created_at = [("iso", row.get("created_at")), record_time]
    updated = row.get("__op") == "u"
    return RowImage(row, [("ms", row.get("__source_ts_ms")), record_time] if updated else created_at, created_at)


def is_connector_record(content: Any) -> bool:
    """Whether this is a connector's heartbeat, a transaction marker, or a null payload."""
    if content is None:
        return True
    if not isinstance(content, dict) or _has_marker(content):
        return False
    heartbeat = "ts_ms" in content and content.keys() <= {"ts_ms", "ts_us", "ts_ns"}
    return heartbeat or (content.get("status") in ("BEGIN", "END") and "event_count" in content)
