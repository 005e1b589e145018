"""Odd values for hypothesis: JSON of any shape, and real records of a change feed with some fields replaced."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

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
    st.sampled_from([1_746_439_200_000, 253_402_300_800_000, 10**400]),
)
MARKERS = ["op", "after", "payload", "schema", "specversion", "data", "time", "source", "ts_ms", "event_count"]
COLUMNS = [
    *("activity_type", "id", "workspace_id", "source_id", "target_id", "method", "status", "request_body"),
    *("response_body", "error_detail", "idempotency_key", "created_at", "__deleted", "__op", "__source_ts_ms"),
]
KEYS = [*MARKERS, *COLUMNS, "delegation_id", "task", "deadline", "text", "error", "tool_trace", ""]
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


@st.composite
def tampered(draw: st.DrawFn) -> Any:
    """A real value in which up to three fields, at any depth, are replaced, removed or added."""
    value = json.loads(json.dumps(draw(st.sampled_from(real_values()))))
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
