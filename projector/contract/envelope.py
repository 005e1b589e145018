"""Take the activity row out of a record's value, in any envelope (events/README.md, section 1).

Marker fields identify the envelope. They are looked for in this order: `activity_type` (a bare row), `op` (a Debezium
change event), `specversion` (a CloudEvent).
"""

import json
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeAlias

from pydantic_core import SchemaValidator, ValidationError, core_schema

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
_HEARTBEAT_KEYS = {"ts_ms", "ts_us", "ts_ns"}


def _keys(**schemas: core_schema.CoreSchema) -> core_schema.CoreSchema:
    """An object of which only these keys are kept. Other keys are parsed, but no Python objects are made of them."""
    wanted = {name: core_schema.typed_dict_field(schema, required=False) for name, schema in schemas.items()}
    return core_schema.typed_dict_schema(wanted, extra_behavior="ignore")


_ANY = core_schema.any_schema()
_ROW_TYPE = _keys(activity_type=_ANY)
_SOURCE = core_schema.nullable_schema(_keys(table=_ANY))
_MARKERS = SchemaValidator(
    _keys(
        activity_type=_ANY, __deleted=_ANY, op=_ANY, after=_ROW_TYPE, source=_SOURCE, specversion=_ANY, data=_ROW_TYPE
    )
)
_N, _I = b"NI"
_HEAD_BYTES = 256
"""The activity type of most rows stands within these first bytes."""


def is_unrelated(value: bytes) -> bool:
    """Whether a value is certainly unrelated. It reads the markers only: half the cost of open_value.

    False means "not certain": `open_value` decides then.
    """
    if value.find(b'"delegation"', 0, _HEAD_BYTES) >= 0:
        return False
    # The validator would accept NaN and Infinity in the keys that it skips. To search for one letter first is cheap.
    if (_N in value and b"NaN" in value) or (_I in value and b"Infinity" in value):
        return False
    try:
        activity = _by_marker(_MARKERS.validate_json(value))
    except (ValidationError, Unreadable):
        return False
    if not isinstance(activity, Activity):
        return activity is NoEvent.UNRELATED
    activity_type = activity.row.get("activity_type")
    return isinstance(activity_type, str) and activity_type != "delegation"


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
    at_least = 0  # a lower bound in characters: cheap, and enough to recognise most large rows
    for column in row.values():
        if isinstance(column, dict):
            for text in column.values():
                if isinstance(text, str):
                    at_least += len(text)
        elif isinstance(column, str):
            at_least += len(column)
        if at_least > LARGE_ROW_BYTES:
            return True
    return sum(map(_bytes, row.values())) > LARGE_ROW_BYTES


def _bytes(column: object) -> int:
    if column is None:
        return 0
    text = column if isinstance(column, str) else json.dumps(column, ensure_ascii=False, separators=(",", ":"))
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
