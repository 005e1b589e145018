"""What a record's value is: an activity row, bare or in one of the envelopes of CONTRACT §1, or nothing at all.

Envelopes are told apart by their own marker fields, in this order: Debezium's `op`, CloudEvents' `specversion`, the
row's `activity_type`.
"""

from enum import StrEnum
from typing import NamedTuple, Protocol, TypedDict, cast

from pydantic_core import SchemaValidator, ValidationError, core_schema

from projector.contract import strict_json
from projector.contract.unreadable import Unreadable, shown

UNAVAILABLE_VALUE = "__debezium_unavailable_value"
"""What Debezium writes for a large column that an update did not change."""


class Body(TypedDict, total=False):
    """The keys of `request_body` and `response_body` that a rule uses."""

    delegation_id: object
    task: object
    deadline: object
    text: object
    error: object


Row = TypedDict(
    "Row",
    {
        "activity_type": object,
        "id": object,
        "workspace_id": object,
        "source_id": object,
        "target_id": object,
        "method": object,
        "status": object,
        "request_body": object,
        "response_body": object,
        "error_detail": object,
        "idempotency_key": object,
        "created_at": object,
        # What ExtractNewRecordState adds to an unwrapped change event.
        "__deleted": object,
        "__op": object,
        "__source_ts_ms": object,
    },
    total=False,
)


def read_body(column: object, field: str) -> Body:
    """The body in a column: an object, or a text of JSON as a change feed writes it; JSON of another kind is empty.

    Raises Unreadable where a text is not JSON. A body that was left out is the caller's business.
    """
    if isinstance(column, str):
        column = strict_json.loads(column, field)
    return cast(Body, column) if isinstance(column, dict) else {}


class Record(Protocol):
    """A record of the log, from Kafka or from a recording; `timestamp` in ms, none or negative where there is none."""

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
    """The wrapping in which a row came."""

    BARE = "bare row"
    DEBEZIUM = "Debezium change event"
    UNWRAPPED = "unwrapped change event"
    CLOUD_EVENT = "CloudEvent"


class Activity(NamedTuple):
    """A row as it came. `time` is the envelope's own event time, unchecked: ISO 8601 text or, from `source`, ms."""

    row: Row
    envelope: Envelope
    is_update: bool = False
    time: object = None


class _Unwrapped(Row, total=False):
    op: object
    after: object
    source: object


class _Value(_Unwrapped, total=False):
    specversion: object
    data: object
    time: object


_CLOCKS = {"ts_ms", "ts_us", "ts_ns"}
_UNMARKED = Activity({}, Envelope.BARE)
_NO_ENVELOPE = "in none of the envelopes: it has neither op, nor specversion, nor activity_type"


def _glimpse_of(**fields: core_schema.CoreSchema) -> core_schema.CoreSchema:
    """An object of which only these fields are wanted; the others are parsed too, and cost no object of Python's."""
    wanted = {name: core_schema.typed_dict_field(schema, required=False) for name, schema in fields.items()}
    return core_schema.typed_dict_schema(wanted, extra_behavior="ignore")


_ANY = core_schema.any_schema()
_GLIMPSED_ROW = _glimpse_of(activity_type=_ANY)
_GLIMPSE = SchemaValidator(
    _glimpse_of(op=_ANY, after=_GLIMPSED_ROW, specversion=_ANY, data=_GLIMPSED_ROW, activity_type=_ANY, __deleted=_ANY)
)
_N, _I = b"NI"
_BEGINNING = 256
"""Bytes in which most rows have said what they are about."""


def is_unrelated(value: bytes) -> bool:
    """Whether a value is surely an activity of another type, told for half of what `open_value` costs."""
    if value.find(b'"delegation"', 0, _BEGINNING) >= 0:
        return False
    if (_N in value and b"NaN" in value) or (_I in value and b"Infinity" in value):
        return False  # the parser takes these for numbers where it skips a field; to look for one byte is cheap
    try:
        glimpsed = _GLIMPSE.validate_json(value)
        activity = Activity(glimpsed, Envelope.BARE) if len(glimpsed) == 1 else _unwrap(glimpsed)
    except (ValidationError, Unreadable):
        return False
    if activity is None:
        return False
    kind = activity.row.get("activity_type")
    return isinstance(kind, str) and kind != "delegation"


def open_value(value: bytes | None) -> Activity | None:
    """Take the row out of a record's value; None where the value means nothing (tombstones, deletes, heartbeats).

    Raises Unreadable where it is not JSON, not an object, or in none of the envelopes.
    """
    parsed = None if value is None else strict_json.loads(value)
    if parsed is None:
        return None
    if not isinstance(parsed, dict):
        raise Unreadable("not a JSON object")
    activity = _unwrap(cast(_Value, parsed))
    if activity is _UNMARKED and "schema" in parsed and "payload" in parsed:
        parsed = parsed["payload"]
        activity = _unwrap(cast(_Value, parsed)) if isinstance(parsed, dict) else _UNMARKED
    if activity is not _UNMARKED:
        return activity
    if parsed is None or _is_connectors_own(parsed):
        return None
    raise Unreadable(_NO_ENVELOPE)


def _unwrap(value: _Value) -> Activity | None:
    if value.get("op") is not None:
        return _of_debezium(value)
    if value.get("specversion") is not None:
        return Activity(_row(value.get("data"), "data"), Envelope.CLOUD_EVENT, time=value.get("time"))
    if "activity_type" in value:
        return _of_row(value)
    return _UNMARKED


def _of_debezium(change: _Unwrapped) -> Activity | None:
    op = change["op"]
    if op in ("d", "t", "m"):
        return None
    if op not in ("c", "r", "u"):
        raise Unreadable(f"unknown kind of change {shown(op)}: expected c, r, u, d, t or m", "op")
    row = _row(change.get("after"), "after")
    if op != "u":
        return Activity(row, Envelope.DEBEZIUM)
    source = change.get("source")
    if source is None:
        return Activity(row, Envelope.DEBEZIUM, True)
    if isinstance(source, dict):
        return Activity(row, Envelope.DEBEZIUM, True, source.get("ts_ms"))
    return Activity(row, Envelope.DEBEZIUM, True, shown(source))  # a text, which no rule takes for milliseconds


def _of_row(row: Row) -> Activity | None:
    if row.get("__deleted") == "true" or row.get("__deleted") is True:
        return None
    if row.get("__op") is None:
        return Activity(row, Envelope.BARE)
    return Activity(row, Envelope.UNWRAPPED, row["__op"] == "u", row.get("__source_ts_ms"))


def _row(column: object, field: str) -> Row:
    if not isinstance(column, dict):
        raise Unreadable(f"no activity row in {field}: found {shown(column)}", field)
    return cast(Row, column)


def _is_connectors_own(value: object) -> bool:
    """Whether a router that is too greedy sent the connector's heartbeat or a transaction marker."""
    if not isinstance(value, dict):
        return False
    if value.get("status") in ("BEGIN", "END") and "event_count" in value:
        return True
    return "ts_ms" in value and value.keys() <= _CLOCKS
