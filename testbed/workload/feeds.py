"""Turns a changed activity row into the value of a record, in each envelope as its real writer does."""

import base64
import json
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from testbed.workload.texts import iso, micros

Row = dict[str, Any]
UNAVAILABLE_VALUE = "__debezium_unavailable_value"
ENVELOPES = ("debezium", "debezium-with-schema", "unwrapped", "bare", "cloudevents")
DEFAULT_WEIGHTS = (40, 5, 15, 25, 15)
WRAPPINGS = ("schema registry", "JSON text")
DATA_FORMS = ("object", "JSON text", "base64")
ZONES = {"Z": 0, "+00:00": 0, "+02:00": 120, "-09:30": -570, "": 0}
"""What is written for an offset from UTC → the offset in minutes."""
CLOCKS = ("text", "ms", "µs", "ns")
_COLUMNS = (
    "id workspace_id activity_type source_id target_id method summary request_body response_body duration_ms status "
    "error_detail idempotency_key tool_trace created_at"
)
SCHEMA = json.dumps(
    {
        "type": "struct",
        "name": "platform.public.activity_logs.Envelope",
        "version": 2,
        "optional": False,
        "fields": [
            {"type": "string", "optional": True, "field": f"{image}.{column}"}
            for image in ("before", "after")
            for column in _COLUMNS.split()
        ],
    }
).encode()


class Feed(NamedTuple):
    """The format of one writer, the same for all records of a delegation."""

    envelope: str
    bodies_as_text: bool
    omits_unchanged: bool
    escapes: bool
    zone: str
    clock: str = "text"
    wrapping: str | None = None
    data_form: str = "object"

    def value(self, op: str, row: Row, at: int) -> bytes:
        """Return the value for a row inserted (`c`), updated (`u`) or read by a snapshot (`r`); `at` in ms."""
        if self.bodies_as_text:
            bodies = {name: self._jsonb(row[name]) for name in ("request_body", "response_body")}
            row = row | bodies
        return self.wrap(self._in_envelope(op, row, at))

    def _in_envelope(self, op: str, row: Row, at: int) -> bytes:
        match self.envelope:
            case "debezium":
                return self._bytes(_change(op, row, at))
            case "debezium-with-schema":
                return b'{"schema":%b,"payload":%b}' % (SCHEMA, self._bytes(_change(op, row, at)))
            case "unwrapped":
                return self._bytes(row | {"__deleted": "false", "__op": op, "__source_ts_ms": at - 3})
            case "cloudevents":
                return self._bytes(self._cloud_event(row, at))
            case _:
                return self._bytes(row | {"created_at": None} if at % 32 == 0 else row)

    def wrap(self, content: bytes) -> bytes:
        """Add this writer's wrapping to a JSON object."""
        match self.wrapping:
            case "schema registry":
                return b"\x00\x00\x00\x00\x2a" + content
            case "JSON text":
                return json.dumps(content.decode(), ensure_ascii=self.escapes).encode()
            case _:
                return content

    def time(self, ms: int) -> str | int:
        """Format a time as this writer does."""
        match self.clock:
            case "ms":
                return ms
            case "µs":
                return micros(ms)
            case "ns":
                return micros(ms) * 1000 + 999
            case _:
                return iso(ms + 60_000 * ZONES[self.zone])[:-1] + self.zone

    def _cloud_event(self, row: Row, at: int) -> dict[str, object]:
        if at % 4 == 0:
            row = row | {"created_at": None}
        return {
            "specversion": "1.0",
            "id": row["id"],
            "source": "/platform/activity",
            "type": "activity.written",
            "time": None if at % 32 == 1 else self.time(at),
            "datacontenttype": "application/json",
        } | self._data(row)

    def _data(self, row: Row) -> dict[str, object]:
        match self.data_form:
            case "JSON text":
                return {"data": json.dumps(row, ensure_ascii=self.escapes)}
            case "base64":
                return {"data_base64": base64.b64encode(self._bytes(row)).decode()}
            case _:
                return {"data": row}

    def _jsonb(self, body: object) -> str | None:
        """Encode a body as a JSON text, as a connector does with a jsonb column."""
        if body is None or body == UNAVAILABLE_VALUE:
            return body
        return json.dumps(body, ensure_ascii=self.escapes)

    def _bytes(self, value: object) -> bytes:
        if not self.escapes:
            # UTF-8 cannot encode half a surrogate pair: such texts must be escaped
            with suppress(UnicodeEncodeError):
                return _unescaped(value).encode()
        return _escaped(value).encode()


def choose_feed(
    rng: random.Random,
    weights: Sequence[float] = DEFAULT_WEIGHTS,
    *,
    wrapped_share: float = 0.0,
    numeric_share: float = 0.0,
) -> Feed:
    """Choose a writer; `weights` of the envelopes in the order of `ENVELOPES`, shares of writers for the rest."""
    envelope = rng.choices(ENVELOPES, weights)[0]
    from_connector = envelope.startswith("debezium") or envelope == "unwrapped"
    wrapped = rng.random() < wrapped_share
    return Feed(
        envelope,
        bodies_as_text=from_connector or rng.random() < 0.2,
        omits_unchanged=from_connector and rng.random() < 0.8,
        escapes=rng.random() < 0.5,
        zone="Z" if from_connector else rng.choice(list(ZONES)),
        clock=rng.choice(CLOCKS[1:]) if rng.random() < numeric_share else "text",
        wrapping=rng.choice([None, *WRAPPINGS]) if wrapped else None,
        data_form=rng.choice(DATA_FORMS) if wrapped else "object",
    )


def _change(op: str, row: Row, at: int) -> dict[str, object]:
    source: Row = {
        "version": "3.5.0.Final",
        "connector": "postgresql",
        "name": "platform",
        "ts_ms": at - 3,
        "snapshot": "true" if op == "r" else "false",
        "db": "platform",
        "schema": "public",
        "table": "activity_logs",
        "lsn": at * 7,
    }
    if at % 64 == 0:
        del source["ts_ms"]
    return {"before": None, "after": row, "source": source, "transaction": None, "op": op, "ts_ms": at - 1}


_escaped = json.JSONEncoder(separators=(",", ":")).encode
_unescaped = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
