"""How a changed activity row becomes a record's value: each envelope as its writer really writes it."""

import json
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from testbed.workload.texts import iso

Row = dict[str, Any]
LEFT_OUT = "__debezium_unavailable_value"
ENVELOPES = ("debezium", "debezium-with-schema", "unwrapped", "bare", "cloudevents")
DEFAULT_WEIGHTS = (40, 5, 15, 25, 15)
_NAMES = (
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
            for column in _NAMES.split()
        ],
    }
).encode()


class Feed(NamedTuple):
    """One writer's habits, kept for a whole story."""

    envelope: str
    bodies_as_text: bool
    leaves_out: bool
    escapes: bool
    zone: str

    def value(self, op: str, row: Row, at: int) -> bytes:
        """The record of a row inserted (`c`), updated (`u`) or found by a snapshot (`r`) at a moment in ms."""
        if self.bodies_as_text:
            bodies = {name: self._jsonb(row[name]) for name in ("request_body", "response_body")}
            row = row | bodies
        match self.envelope:
            case "debezium":
                return self._bytes(_change(op, row, at))
            case "debezium-with-schema":
                return b'{"schema":%b,"payload":%b}' % (SCHEMA, self._bytes(_change(op, row, at)))
            case "unwrapped":
                return self._bytes(row | {"__deleted": "false", "__op": op, "__source_ts_ms": at - 3})
            case "cloudevents":
                return self._bytes(_cloud_event(row, at))
            case _:
                return self._bytes(row | {"created_at": None} if at % 32 == 0 else row)

    def time(self, ms: int) -> str:
        """`created_at` as this writer spells it."""
        return iso(ms)[:-1] + self.zone

    def _jsonb(self, body: object) -> str | None:
        """As a connector prints a jsonb column: a text."""
        if body is None or body == LEFT_OUT:
            return body
        return json.dumps(body, ensure_ascii=self.escapes)

    def _bytes(self, found: object) -> bytes:
        if not self.escapes:
            # half a surrogate pair has no bytes in UTF-8: such texts can only be escaped
            with suppress(UnicodeEncodeError):
                return _as_they_are(found).encode()
        return _escaped(found).encode()


def choose_feed(rng: random.Random, weights: Sequence[float] = DEFAULT_WEIGHTS) -> Feed:
    envelope = rng.choices(ENVELOPES, weights)[0]
    from_connector = envelope.startswith("debezium") or envelope == "unwrapped"
    return Feed(
        envelope,
        bodies_as_text=from_connector or rng.random() < 0.2,
        leaves_out=from_connector and rng.random() < 0.8,
        escapes=rng.random() < 0.5,
        zone="Z" if from_connector else rng.choice(["Z", "+00:00", "+02:00", "-09:30", ""]),
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


def _cloud_event(row: Row, at: int) -> dict[str, object]:
    if at % 4 == 0:
        row = row | {"created_at": None}
    return {
        "specversion": "1.0",
        "id": row["id"],
        "source": "/platform/activity",
        "type": "activity.written",
        "time": None if at % 32 == 1 else iso(at),
        "datacontenttype": "application/json",
        "data": row,
    }


_escaped = json.JSONEncoder(separators=(",", ":")).encode
_as_they_are = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
