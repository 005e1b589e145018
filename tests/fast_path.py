"""Compares the fast path with the complete translation, over rows in every envelope."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from builders import record
from rows import CALLEE, CALLER, UNAVAILABLE_VALUE, answer, delegate, heartbeat, verdict

from projector.contract import fast, glimpse
from projector.contract.facts import NoEvent
from projector.contract.translate import translate_completely
from projector.contract.unreadable import Unreadable

TASK = 'größer "quoted" \\ line\nbreak 日本 \U0001f600 file.py ' * 3


def agree(value: bytes) -> str:
    """Compare the parts of the fast path with the complete translation; returns which part claimed the value."""
    try:
        complete: object = translate_completely(record(value, timestamp=1_746_439_200_000))
    except Unreadable as error:
        complete = error
    if glimpse.is_unrelated(value):
        assert complete is NoEvent.UNRELATED, value[:2000]
        return "unrelated"
    found = fast.translate(value)
    if found is None:
        return "absent"
    assert repr(found) == repr(complete), value[:2000]  # with types and time zones
    return "fast"


def counted(values: Iterable[bytes]) -> Counter[str]:
    return Counter(map(agree, values))


def with_texts(row: dict[str, Any]) -> dict[str, Any]:
    """The row as a change feed writes it: its bodies are JSON texts."""
    texts = {name: row[name] for name in ("request_body", "response_body") if isinstance(row.get(name), dict | list)}
    return row | {name: json.dumps(body, ensure_ascii=len(str(body)) % 2 == 0) for name, body in texts.items()}


def change(row: Any, op: str = "c", **fields: Any) -> dict[str, Any]:
    source = {"version": "3.5.0.Final", "ts_ms": 1_746_439_207_001, "table": "activity_logs", "sequence": "[null]"}
    return {"before": None, "after": row, "source": source, "transaction": None, "op": op, "ts_ms": 7} | fields


ENVELOPES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "bare": lambda row: row,
    "change": lambda row: change(with_texts(row)),
    "update": lambda row: change(with_texts(row), "u"),
    "full": lambda row: change(with_texts(row), "u", before=with_texts(row)),
    "unwrapped": lambda row: with_texts(row) | {"__op": "u", "__deleted": "false", "__source_ts_ms": 1_746_439_207_001},
    "schema": lambda row: {"schema": {"type": "struct", "fields": [{"name": "ü"}]}, "payload": change(with_texts(row))},
    "payload": lambda row: {"schema": None, "payload": row},
    "event": lambda row: {"specversion": "1.0", "data": row},
}
ROWS = [
    row | {"id": CALLER}
    for row in (
        delegate(0, request_body={"delegation_id": "d-1", "task": TASK}),
        delegate(0, "dispatched", source_id=CALLEE.upper(), idempotency_key="order-7"),
        delegate(0, "dispatched", request_body=UNAVAILABLE_VALUE),
        delegate(0, "failed", error_detail="é" * 3000),
        answer(1, "completed", text=TASK * 40),
        answer(1, "error", error="boom"),
        heartbeat(2),
        verdict(30),
        delegate(0) | {"activity_type": "tool_call", "summary": TASK},
    )
]
