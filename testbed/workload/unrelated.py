"""Other records of the topic: unrelated activity rows, and the connector's own records."""

import json
import random

from testbed.workload.feeds import Feed, Row
from testbed.workload.texts import iso, new_uuid, text

UNRELATED_TYPES = [
    "a2a_send",
    "a2a_receive",
    "task_update",
    "memory_write",
    "agent_log",
    "skill_promotion",
    "schedule_fire",
]
OUT_OF_RANGE_TIMES = ["infinity", "-infinity", "+12345-06-07T08:09:10.123456Z", "-0043-03-15T12:00:00Z"]


def unrelated_row(rng: random.Random, caller: str, feed: Feed, now: int) -> Row:
    """Return an activity row of another type; some of its values would make a delegation row a dead letter."""
    return {
        "id": new_uuid(rng),
        "workspace_id": caller,
        "activity_type": rng.choice(UNRELATED_TYPES),
        "source_id": caller,
        "target_id": None,
        "method": rng.choice(["message/send", "tasks/get", "delegate_result", None]),
        "summary": text(rng, 10, 80),
        "request_body": {"text": text(rng, 30, 400 if rng.random() < 0.93 else 3500)},
        "response_body": {"ok": True} if rng.random() < 0.5 else None,
        "duration_ms": rng.randint(1, 30_000),
        "status": rng.choice(["ok", "error", "done", None]),
        "error_detail": None,
        "idempotency_key": None,
        "tool_trace": [{"tool": "search", "ms": 12}] if rng.random() < 0.2 else None,
        "created_at": rng.choice(OUT_OF_RANGE_TIMES) if rng.random() < 0.01 else feed.time(now),
    }


def other_table_event(rng: random.Random, now: int) -> bytes:
    """Return a change event of another table, which the connector reads too."""
    after = {"id": new_uuid(rng), "name": text(rng, 5, 20), "status": "completed", "created_at": iso(now)}
    source = {"connector": "postgresql", "schema": "public", "table": rng.choice(["agents", "workspaces"])}
    change = {
        "before": None,
        "after": after,
        "source": source | {"ts_ms": now - 3},
        "op": rng.choice("cru"),
        "ts_ms": now,
    }
    return json.dumps({"schema": {"type": "struct"}, "payload": change} if rng.random() < 0.2 else change).encode()


def connector_record(rng: random.Random, now: int) -> bytes | None:
    """Return a tombstone, delete, heartbeat or transaction marker: none concerns a delegation."""
    row = {"id": new_uuid(rng), "activity_type": "delegation", "method": "delegate", "status": "completed"}
    records: list[object] = [
        None,
        {"before": row, "after": None, "op": "d", "ts_ms": now},
        {"op": "t", "ts_ms": now, "source": {}},
        {"op": "m", "ts_ms": now, "message": {"prefix": "platform", "content": "aGVsbG8="}},
        {"schema": {"type": "struct"}, "payload": {"before": row, "after": None, "op": "d"}},
        {"schema": {"type": "struct"}, "payload": None},
        {"schema": {"type": "struct"}, "payload": {"ts_ms": now}},
        {"ts_ms": now},
        {"ts_ms": now, "ts_us": now * 1000, "ts_ns": now * 1_000_000},
        {"status": "BEGIN", "id": "571:53195829", "event_count": None, "data_collections": None, "ts_ms": now},
        {"status": "END", "id": "571:53195832", "event_count": 2, "data_collections": [], "ts_ms": now},
        {"before": {"id": 7}, "after": None, "source": {"table": "agents"}, "op": "d", "ts_ms": now},
        row | {"__deleted": "true", "__op": "d", "created_at": iso(now)},
        "null",
        json.dumps({"ts_ms": now}),
    ]
    if rng.random() < 0.4:
        return None
    return json.dumps(rng.choice(records)).encode()
