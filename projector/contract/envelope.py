"""Take the activity row out of a record's value, in any envelope (events/README.md, section 1).

Marker fields identify the envelope. They are looked for in this order: `activity_type` (a bare row), `op` (a Debezium
change event), `specversion` (a CloudEvent).
"""

from contextlib import suppress
from enum import StrEnum
from json import JSONEncoder
from typing import NamedTuple, Protocol, TypeAlias

import msgspec

from projector.contract import strict_json, wrappings
from projector.contract.facts import NoEvent
from projector.contract.unreadable import Unreadable, quoted

UNAVAILABLE_VALUE = "__debezium_unavailable_value"
"""Debezium writes this text instead of a large column that an update did not change."""
LARGE_ROW_BYTES = 1500
"""Postgres may store a body of a larger row out of line. A change feed may then leave it out of an update."""
JsonObject: TypeAlias = dict[str, object]
"""A row or a body, as it came. `models.py` describes their fields. The rule that uses a field validates it."""
BODY_FIELDS = frozenset({"delegation_id", "task", "deadline", "silent_since", "text", "error"})
"""The fields of `request_body` and `response_body` that a rule uses."""


def read_body(column: object, field: str) -> JsonObject:
    """The body in a column: an object, or an object as JSON text, as a change feed writes it. Other JSON is empty.

    Raises Unreadable if a text is not JSON. The caller handles UNAVAILABLE_VALUE before.
    """
    if isinstance(column, str):
        column = strict_json.loads(column, field)
    return column if isinstance(column, dict) else {}


class Record(Protocol):
    """A record of the topic, from Kafka or from a recording. `timestamp` is in ms; None or negative means none."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int | None: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


class Envelope(StrEnum):
    """The form in which a value holds its row."""

    BARE = "bare row"
    DEBEZIUM = "Debezium change event"
    UNWRAPPED = "unwrapped change event"
    CLOUD_EVENT = "CloudEvent"


class Activity(NamedTuple):
    """A row with its envelope, not validated yet.

    `time` is the envelope's own event time: an ISO 8601 text in a CloudEvent, ms since 1970 in a change event.
    """

    row: JsonObject
    envelope: Envelope
    is_update: bool = False
    time: object = None


TABLE = "activity_logs"
"""The platform's table. A change event of another table is unrelated."""
_dumps = JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_HEARTBEAT_KEYS = {"ts_ms", "ts_us", "ts_ns"}


def open_value(value: bytes | None) -> Activity | NoEvent:
    """Take the row out of a record's value, or say why it has none: tombstones, deletes, rows of other tables.

    Raises Unreadable if the value is not JSON, not an object, or in no known envelope.
    """
    content = None if value is None else wrappings.parse(value)
    if content is None:
        return NoEvent.TOMBSTONE
    activity = _by_marker(content)
    if activity is None and "schema" in content and "payload" in content:
        payload = content["payload"]
        if payload is None:
            return NoEvent.TOMBSTONE
        content = _row_in(payload, "payload")
        activity = _by_marker(content)
    if activity is not None:
        return activity
    if _is_connectors_own(content):
        return NoEvent.TOMBSTONE
    raise Unreadable("in no known envelope: it has none of the fields activity_type, op and specversion")


def _by_marker(value: JsonObject) -> Activity | NoEvent | None:
    """What the value's first marker makes of it; None if there is no marker."""
    if "activity_type" in value:
        return _open_bare_row(value)
    if value.get("op") is not None:
        return _open_change_event(value)
    if value.get("specversion") is not None:
        return _open_cloud_event(value)
    return None


def _open_bare_row(row: JsonObject) -> Activity | NoEvent:
    if row.get("__deleted") == "true" or row.get("__deleted") is True:
        return NoEvent.TOMBSTONE
    if row.get("__op") is None:
        return Activity(row, Envelope.BARE)
    return Activity(row, Envelope.UNWRAPPED, row["__op"] == "u", row.get("__source_ts_ms"))


def _open_change_event(change: JsonObject) -> Activity | NoEvent:
    op = change["op"]
    if op in ("d", "t", "m"):
        return NoEvent.TOMBSTONE
    if op not in ("c", "r", "u"):
        raise Unreadable(f"unknown op {quoted(op)}: expected c, r, u, d, t or m", "op")
    row, source = _row_in(change.get("after"), "after"), change.get("source")
    if source is None:
        source = {}
    if not isinstance(source, dict):
        raise Unreadable(f"source must be an object: found {quoted(source)}", "source")
    if "activity_type" not in row and isinstance(source.get("table"), str) and source["table"] != TABLE:
        return NoEvent.UNRELATED
    is_update = op == "u"
    return Activity(row, Envelope.DEBEZIUM, is_update, source.get("ts_ms") if is_update else None)


def _open_cloud_event(event: JsonObject) -> Activity:
    row = _row_in(wrappings.cloud_event_data(event), "data")
    if "activity_type" not in row and _has_row_images(row):
        raise Unreadable(
            "data is a change event of Debezium's CloudEvents converter, which is not read: use its JSON converter",
            "data",
        )
    return Activity(row, Envelope.CLOUD_EVENT, time=event.get("time"))


def _has_row_images(data: JsonObject) -> bool:
    """Whether this is a change event without `op`, perhaps with its schema."""
    payload = data.get("payload")
    return any(part.keys() & {"before", "after"} for part in (data, payload) if isinstance(part, dict))


def _row_in(column: object, field: str) -> JsonObject:
    if not isinstance(column, dict):
        raise Unreadable(f"no activity row in {field}: found {quoted(column)}", field)
    return column


def _is_connectors_own(value: JsonObject) -> bool:
    """Whether this is a heartbeat or a transaction marker of the connector, routed to the topic by mistake."""
    if value.get("status") in ("BEGIN", "END") and "event_count" in value:
        return True
    return "ts_ms" in value and value.keys() <= _HEARTBEAT_KEYS


def is_large(row: JsonObject) -> bool:
    """Whether the texts of the row's columns have more than 1,500 bytes of UTF-8 together."""
    for field in ("request_body", "response_body"):  # most large rows have one long text there
        body = row.get(field)
        for text in body.values() if isinstance(body, dict) else (body,):
            if isinstance(text, str) and len(text) > LARGE_ROW_BYTES:
                return True
    size = 0
    for column in row.values():
        if isinstance(column, str):
            size += len(column) if column.isascii() else len(column.encode(errors="surrogatepass"))
        elif column is not None:
            size += _json_bytes(column)
    return size > LARGE_ROW_BYTES


def _json_bytes(column: object) -> int:
    """The size as compact JSON. msgspec writes texts like the standard library, but not all numbers."""
    if isinstance(column, dict) and all(isinstance(text, str) for text in column.values()):
        with suppress(UnicodeEncodeError):  # a lone surrogate
            return len(msgspec.json.encode(column))
    return len(_dumps(column).encode(errors="surrogatepass"))
