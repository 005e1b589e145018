"""Builders of minimal activity rows, by minute after ten o'clock."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from testbed.oracle import Oracle, Row
from testbed.recording import AcknowledgedRecord

CALLER = "c1c1c1c1-0000-4000-8000-000000000001"
CALLEE = "c2c2c2c2-0000-4000-8000-000000000002"
TEN = datetime(2025, 5, 5, 10, tzinfo=UTC)
UNAVAILABLE_VALUE = "__debezium_unavailable_value"

Columns = dict[str, Any]


def at(minute: int) -> str:
    return (TEN + timedelta(minutes=minute)).isoformat()


def delegate(minute: int, status: str = "pending", **columns: Any) -> Columns:
    body = {"delegation_id": "d-1", "task": "count to three"}
    row: Columns = {"activity_type": "delegation", "method": "delegate", "status": status, "request_body": body}
    return row | {"workspace_id": CALLER, "target_id": CALLEE, "created_at": at(minute)} | columns


def answer(minute: int, status: str, *, of: str = "d-1", **columns: Any) -> Columns:
    texts = {name: columns.pop(name) for name in ("text", "error") if name in columns}
    row: Columns = {"activity_type": "delegation", "method": "delegate_result", "status": status}
    return row | {"response_body": {"delegation_id": of} | texts, "created_at": at(minute)} | columns


def heartbeat(minute: int, *, of: str = "d-1") -> Columns:
    row: Columns = {"activity_type": "delegation", "method": "heartbeat", "request_body": {"delegation_id": of}}
    return row | {"created_at": at(minute)}


def verdict(minute: int, status: str = "stuck", *, silent: int | None = 0, of: str = "d-1", **columns: Any) -> Columns:
    body = {"delegation_id": of} | ({} if silent is None else {"silent_since": at(silent)})
    row: Columns = {"activity_type": "delegation", "method": "verdict", "status": status, "request_body": body}
    return row | {"created_at": at(minute)} | columns


def updated(row: Columns, minute: int) -> Columns:
    ms = int((TEN + timedelta(minutes=minute)).timestamp() * 1000)
    return {"op": "u", "before": None, "after": row, "source": {"ts_ms": ms}}


def record_at(offset: int, value: object, timestamp: int | None = None) -> AcknowledgedRecord:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return AcknowledgedRecord("activity-log", 0, offset, timestamp, None, content)


def fold_values(*values: object) -> tuple[list[str], dict[str, Row]]:
    """Fold these values by the oracle; returns their outcomes and the table."""
    oracle = Oracle()
    outcomes = [oracle.apply(record_at(offset, value)) for offset, value in enumerate(values)]
    return outcomes, oracle.expected().rows


def outcome_of(value: object, timestamp: int | None = None) -> str:
    return Oracle().apply(record_at(0, value, timestamp))
