"""The projector and the independent oracle read odd rows alike: neither may guess what the contract leaves open."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from projector.domain import fold
from testbed.oracle import Oracle
from testbed.recording import AcknowledgedRecord
from testbed.workload import Mix, records, with_offsets
from testbed.workload.malformed import malformed_values

LEFT_OUT = "__debezium_unavailable_value"
UUIDS = [f"c1c1c1c1-0000-4000-8000-00000000000{digit}" for digit in range(4)]
STATUSES = [
    *("pending", "queued", "dispatched", "received", "delivered", "in_progress"),
    *("completed", "failed", "error", "timeout", "stuck"),
]
TEN_MS = 1_746_439_200_000
EDGE_MS = [253_402_300_799_999, 253_402_300_800_000, -62_135_596_800_000, -62_135_596_800_001, True, 0, -1, "0", 1.5]
TIMES = [
    *("2025-05-05", "2025-05-05T10", "20250505T101112Z", "2025-W10-1", "2025-05-05 10:00:00+02"),
    *("2025-05-05t10:00:00z", "2025-05-05T10:00:00.1234567Z", "2025-05-05T10:00:00,5Z", "2025-05-05T10:00:00-00:00:01"),
    *("2025-05-05T10:00:00+23:59", "2025-05-05T10:00:00+24:00", "2025-05-05T25:00:00", "infinity", "yesterday"),
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00"),
    *("9999-12-31T17:59:59Z", "9999-12-31T18:00:00Z", "9999-12-31T23:00:00-02:00"),
]
ODD: list[Any] = [
    *(None, "", 7, -1, 0, 1.5, True, False, [], {}, ["a"], {"a": 1}, 10**30, 1e308, *TIMES, *EDGE_MS, LEFT_OUT),
    *("x", "null", "{}", "[]", '"s"', "{", '{"delegation_id":"d2"}', "\x00", "\ud800", "x" * 1600),
    *("d" * 512, "d" * 513, "é" * 256, "\x00" * 170 + "ab", "\x00" * 171),
    *(UUIDS[1].upper(), "{" + UUIDS[1] + "}", f"urn:uuid:{UUIDS[1]}", UUIDS[1].replace("-", ""), UUIDS[1] + "\n"),
]


def body(rng: random.Random) -> object:
    if rng.random() < 0.1:
        return rng.choice(ODD)
    usual = {"text": ["t", "long" * 1200], "error": ["e", "é" * 2049], "task": ["t", ""], "deadline": TIMES[:4]}
    content: dict[str, Any] = {name: rng.choice(usual[name]) for name in usual if rng.random() < 0.3}
    content["delegation_id"] = f"d{rng.randint(1, 99)}"
    if rng.random() < 0.2:
        content[rng.choice(list(content))] = rng.choice(ODD)
    return json.dumps(content, ensure_ascii=rng.random() < 0.5) if rng.random() < 0.3 else content


def row(rng: random.Random) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "id": rng.choice(UUIDS),
        "workspace_id": rng.choice(UUIDS),
        "activity_type": "delegation",
        "source_id": rng.choice([*UUIDS, None]),
        "target_id": rng.choice(UUIDS),
        "method": rng.choice(["delegate", "delegate_result", "heartbeat"]),
        "status": rng.choice(STATUSES),
        "request_body": body(rng),
        "response_body": body(rng),
        "error_detail": rng.choice([None, "", "boom"]),
        "idempotency_key": rng.choice([None, None, f"k{rng.randint(1, 9)}"]),
        "created_at": f"2025-05-05T10:{rng.randint(10, 59)}:00Z",
    }
    for _ in range(rng.choice([0, 0, 1, 2])):
        columns[rng.choice(list(columns))] = rng.choice(ODD)
    return {name: content for name, content in columns.items() if rng.random() > 0.01}


def envelope(rng: random.Random, row: dict[str, Any]) -> object:
    op, ms = rng.choice("ccruu"), rng.choice(EDGE_MS) if rng.random() < 0.1 else TEN_MS + rng.randint(0, 3_600_000)
    change = {"op": op, "after": row, "source": {"ts_ms": ms}}
    time = rng.choice(TIMES) if rng.random() < 0.2 else None
    return rng.choice(
        [
            row,
            change,
            {"schema": {}, "payload": change},
            {"specversion": "1.0", "data": row, "time": time},
            row | {"__op": op, "__source_ts_ms": ms, "__deleted": rng.choice(["false", "false", "true", True, None])},
        ]
    )


def odd_log(seed: int, count: int) -> Iterator[AcknowledgedRecord]:
    rng = random.Random(seed)
    for offset in range(count):
        value = bytearray(json.dumps(envelope(rng, row(rng))).encode())
        if rng.random() < 0.02:
            value[rng.randrange(len(value))] = rng.randrange(256)
        yield AcknowledgedRecord("activity-log", 0, offset, rng.choice([None, -1, TEN_MS]), None, bytes(value))


def agree(log: Iterator[AcknowledgedRecord]) -> None:
    """Each record has the same outcome in both, and both end with the same table."""
    oracle, view = Oracle(), fold.WorkingSet()
    large_rows: dict[str, str] = {}
    for record in log:
        batch = fold.resolve_unavailable(fold.translate_batch([record]), large_rows)
        outcomes = [str(view.apply(*said)) for said in batch.records] + [str(outcome) for outcome in batch.outcomes]
        assert (outcomes or ["dead_letter"]) == [oracle.apply(record)], (record.value or b"")[:2000]
    assert {delegation_id: list(row) for delegation_id, row in view.rows.items()} == {
        delegation_id: [getattr(row, column) for column in view.rows[delegation_id]._fields]
        for delegation_id, row in oracle.rows.items()
    }


@pytest.mark.parametrize("seed", range(8))
def test_odd_rows_are_read_alike(seed: int) -> None:
    agree(odd_log(seed, 1500))


def test_malformed_values_are_read_alike() -> None:
    values = enumerate(malformed_values(seed=2, count=3000))
    agree(AcknowledgedRecord("activity-log", 0, offset, None, None, value) for offset, value in values)


def test_whole_workload_is_read_alike() -> None:
    agree(with_offsets(records(Mix(delegations=500, seed=11, live=50, malformed_share=0.05))))
