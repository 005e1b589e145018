"""What a record's value is: an activity row, bare or in one of the envelopes of CONTRACT §1, or nothing at all.

Envelopes are told apart by their own marker fields, in this order: Debezium's `op`, CloudEvents' `specversion`, the
row's `activity_type`.
"""

import json
from enum import StrEnum
from typing import Annotated, NamedTuple, Protocol, TypeAlias, cast

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from events import strict_json
from events.activity import Row
from events.unreadable import Unreadable


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


_RowColumn: TypeAlias = Annotated[Row | object, Field(union_mode="left_to_right")]


class _Source(TypedDict, total=False):
    ts_ms: object


class _Unwrapped(Row, total=False):
    op: object
    after: _RowColumn
    source: Annotated[_Source | object, Field(union_mode="left_to_right")]


class _Value(_Unwrapped, total=False):
    payload: Annotated[_Unwrapped | object, Field(union_mode="left_to_right")]
    specversion: object
    data: _RowColumn
    time: object


_VALUE = TypeAdapter[_Value](_Value)
_CLOCKS = {"ts_ms", "ts_us", "ts_ns"}
_NO_ENVELOPE = "in none of the envelopes: it has neither op, nor specversion, nor activity_type"


def open_value(value: bytes | None) -> Activity | None:
    """Take the row out of a record's value; None where the value means nothing (tombstones, deletes, heartbeats).

    Raises Unreadable where it is not JSON, not an object, or in none of the envelopes.
    """
    if value is None:
        return None
    if b"NaN" not in value and b"Infinity" not in value:  # the fast parser would take them
        try:
            return _unwrap(_VALUE.validate_json(value))
        except (ValidationError, Unreadable):
            pass  # not JSON, or JSON with lone surrogates, or a kind told by the keys that the model leaves unread
    return open_whole(value)


def open_whole(value: bytes) -> Activity | None:
    """As `open_value`, at several times the price; the row then has all of its columns."""
    parsed = strict_json.loads(value)
    if isinstance(parsed, dict) and not _is_marked(parsed) and "schema" in parsed and "payload" in parsed:
        parsed = parsed["payload"]
    if parsed is None:
        return None
    if not isinstance(parsed, dict):
        raise Unreadable("not a JSON object")
    return None if not _is_marked(parsed) and _is_connectors_own(parsed) else _unwrap(cast(_Value, parsed))


def _is_marked(value: dict[str, object]) -> bool:
    return value.get("op") is not None or value.get("specversion") is not None or "activity_type" in value


def _unwrap(value: _Value) -> Activity | None:
    if value.get("op") is not None:
        return _of_debezium(value)
    if value.get("specversion") is not None:
        return Activity(_row(value.get("data"), "data"), Envelope.CLOUD_EVENT, time=value.get("time"))
    if "activity_type" in value:
        return _of_row(value)
    if isinstance(payload := value.get("payload"), dict) and _is_marked(payload):
        return _unwrap(cast(_Value, payload))
    raise Unreadable(_NO_ENVELOPE)


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


def _is_connectors_own(value: dict[str, object]) -> bool:
    """Whether a router that is too greedy sent the connector's heartbeat or a transaction marker."""
    if value.get("status") in ("BEGIN", "END") and "event_count" in value:
        return True
    return "ts_ms" in value and value.keys() <= _CLOCKS


def shown(value: object, limit: int = 60) -> str:
    """A value as JSON for a sentence, cut to `limit` characters."""
    text = json.dumps(value, default=str)
    return text if len(text) <= limit else text[:limit] + "…"
