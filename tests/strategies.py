"""Odd values for hypothesis: JSON of any shape, and records with some fields replaced, also in wrappings."""

import base64
import gzip
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from rows import CALLEE, delegate, verdict

RECORDED = Path(__file__).parent.parent / "events" / "recorded"

texts = st.one_of(
    st.text(st.characters(codec=None), max_size=12),
    st.sampled_from(
        [
            *("", "null", "{}", "[]", "{", "NaN", "Infinity", "\x00", "\ud800", "infinity", "+12345-06-07T08:09:10Z"),
            *(
                "delegation",
                "delegate",
                "delegate_result",
                "heartbeat",
                "verdict",
                "stuck",
                "activity_logs",
                "pending",
                "completed",
                "failed",
                "BEGIN",
                "d-1",
            ),
            *("2025-05-05T10:00:00Z", "9999-12-31T23:00:00Z", "c1c1c1c1-0000-4000-8000-000000000001", "c" * 513),
            *("__debezium_unavailable_value", '{"delegation_id": "d-1"}', "1],[2", '"a":1},{"b":2', "x" * 1600),
        ]
    ),
)
numbers = st.one_of(
    st.integers(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1_746_439_200_000, 1_746_439_200_000_001, 10**11, 10**20, 253_402_300_800_000, 10**400]),
)
MARKERS = ["op", "after", "payload", "schema", "specversion", "data", "time", "source", "ts_ms", "event_count"]
MARKERS += ["data_base64", "table", "before"]
COLUMNS = [
    *("activity_type", "id", "workspace_id", "source_id", "target_id", "method", "status", "request_body"),
    *("response_body", "error_detail", "idempotency_key", "created_at", "__deleted", "__op", "__source_ts_ms"),
]
KEYS = [*MARKERS, *COLUMNS, "delegation_id", "task", "deadline", "silent_since", "text", "error", "tool_trace", ""]
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)


@cache
def real_values() -> list[Any]:
    """Values that a real connector wrote, parsed: one of each shape and size."""
    values: dict[tuple[Any, ...], Any] = {}
    for path in sorted(RECORDED.glob("*.jsonl.gz")):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            text = json.loads(line).get("value")
            value = json.loads(text) if text else None
            if isinstance(value, dict):
                row = value.get("after") or value
                kind = row.get("method"), row.get("status"), value.get("op"), len(text) // 2000
                values.setdefault((path.name, *kind, *sorted(value)), value)
    return list(values.values())


EVENT = {"specversion": "1.0", "time": "2025-05-05T10:00:07Z"}
MADE_VALUES: list[Any] = [
    *(verdict(30), verdict(30, "failed", silent=None, error_detail="gone")),
    delegate(0, created_at=1_746_439_200_000, request_body={"delegation_id": "d-1", "deadline": 1_746_439_200_000_001}),
    delegate(0, id=CALLEE, op="book", specversion="2"),
    {"op": "c", "after": {"id": 7, "name": "Anna"}, "source": {"table": "users"}},
    EVENT | {"data": delegate(0)},
    EVENT | {"data": {"before": None, "after": delegate(0), "op": "c"}},
    EVENT | {"data": {"schema": {}, "payload": {"before": None, "after": delegate(0)}}},
]
"""Forms that no recorded feed has."""


@st.composite
def tampered(draw: st.DrawFn) -> Any:
    """A real or a made value in which up to three fields, at any depth, are replaced, removed or added."""
    value = json.loads(json.dumps(draw(st.sampled_from(real_values() + MADE_VALUES))))
    for _ in range(draw(st.integers(0, 3))):
        within = value
        while isinstance(within, dict) and draw(st.booleans()):
            inner = [field for field in within.values() if isinstance(field, dict) and field]
            if not inner:
                break
            within = draw(st.sampled_from(inner))
        field = draw(st.sampled_from([*within, *KEYS]))
        within[field] = draw(values)
        if draw(st.integers(0, 9)) == 0:
            del within[field]
    return value


def written(value: Any, *, ascii_only: bool = True) -> bytes:
    """A value as JSON bytes. A lone surrogate has no UTF-8 form, so it is always escaped."""
    if not ascii_only:
        try:
            return json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            pass
    return json.dumps(value).encode()


def as_text(value: Any) -> str:
    return written(value).decode()


def as_base64(value: Any) -> str:
    return base64.b64encode(written(value)).decode()


WRAPPINGS: list[Callable[[Any], Any]] = [
    as_text,
    lambda value: f" {as_text(value)} ",
    lambda value: EVENT | {"data": value},
    lambda value: EVENT | {"data": as_text(value)},
    lambda value: EVENT | {"data_base64": as_base64(value)},
    lambda value: EVENT | {"data": None, "data_base64": as_base64(value)},
    lambda value: {"schema": {}, "payload": value},
    lambda value: {"op": "c", "after": value, "source": {"table": "activity_logs"}},
]
HEADS = [b"", b"", b"\0\0\0\1\2", b"\0\0\0\0", b"\0\0\0\1\2\0\0\0\1\2", b"\xef\xbb\xbf"]


@st.composite
def wrapped(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> bytes:
    """A value in up to three wrappings or envelopes: in any order, so that many are wrong."""
    value = draw(values)
    for wrap in draw(st.lists(st.sampled_from(WRAPPINGS), max_size=3)):
        value = wrap(value)
    return draw(st.sampled_from(HEADS)) + written(value, ascii_only=draw(st.booleans()))
