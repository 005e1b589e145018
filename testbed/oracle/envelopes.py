"""The judge's own view of envelopes: a record's row, and where its times stand (CONTRACT §1)."""

from typing import Any, NamedTuple

from testbed.oracle.fields import Unreadable, strict_json


class Nothing(NamedTuple):
    """A record that touches no delegation: its outcome, and why."""

    outcome: str
    reason: str


class Image(NamedTuple):
    """A row out of its envelope, and where its times may stand, best first."""

    row: dict[str, Any]
    at: list[tuple[str, Any]]
    created_at: list[tuple[str, Any]]


def open_envelope(value: bytes | None, timestamp: int | None) -> Image | Nothing:
    if value is None:
        return Nothing("tombstone", "null")
    found = strict_json(value)
    if found is None:
        return Nothing("tombstone", "JSON null")
    if not isinstance(found, dict):
        raise Unreadable("not an object")
    record_time = ("ms", None if timestamp == -1 else timestamp)
    if "schema" in found and "payload" in found and not _marked(found):
        found = found["payload"]
    if means_nothing(found):
        return Nothing("tombstone", "the connector's own")
    if not _marked(found):
        raise Unreadable("in none of the envelopes")
    if found.get("op") is not None:
        return _change_event(found, record_time)
    if found.get("specversion") is not None:
        return _cloud_event(found, record_time)
    return _bare_row(found, record_time)


def _marked(found: Any) -> bool:
    if not isinstance(found, dict):
        return False
    return found.get("op") is not None or found.get("specversion") is not None or "activity_type" in found


def _change_event(event: dict[str, Any], record_time: tuple[str, Any]) -> Image | Nothing:
    operation, row = event["op"], event.get("after")
    if operation in ("d", "t", "m"):
        return Nothing("tombstone", f"op {operation}")
    if operation not in ("c", "r", "u"):
        raise Unreadable("unknown op")
    if not isinstance(row, dict):
        raise Unreadable("after is no object")
    created_at = [("iso", row.get("created_at")), record_time]
    if operation != "u":
        return Image(row, created_at, created_at)
    source = {} if event.get("source") is None else event["source"]
    changed_at = source.get("ts_ms") if isinstance(source, dict) else f"not in {source!r}"
    return Image(row, [("ms", changed_at), record_time], created_at)


def _cloud_event(event: dict[str, Any], record_time: tuple[str, Any]) -> Image:
    row = event.get("data")
    if not isinstance(row, dict):
        raise Unreadable("data is no object")
    time, created_at = ("iso", event.get("time")), ("iso", row.get("created_at"))
    return Image(row, [time, created_at, record_time], [created_at, time, record_time])


def _bare_row(row: dict[str, Any], record_time: tuple[str, Any]) -> Image | Nothing:
    if row.get("__deleted") == "true" or row.get("__deleted") is True:
        return Nothing("tombstone", "__deleted")
    created_at = [("iso", row.get("created_at")), record_time]
    updated = row.get("__op") == "u"
    return Image(row, [("ms", row.get("__source_ts_ms")), record_time] if updated else created_at, created_at)


def means_nothing(found: Any) -> bool:
    """Whether this is a connector's heartbeat, a transaction marker, or the null in a schema's wrapping."""
    if found is None:
        return True
    if not isinstance(found, dict) or _marked(found):
        return False
    beat = "ts_ms" in found and found.keys() <= {"ts_ms", "ts_us", "ts_ns"}
    return beat or (found.get("status") in ("BEGIN", "END") and "event_count" in found)
