"""How the oracle reads records (events/README.md, sections 1 to 3)."""

import json
from datetime import timedelta

import pytest
from rows import (
    CALLER,
    TEN,
    UNAVAILABLE_VALUE,
    Columns,
    answer,
    at,
    delegate,
    fold_values,
    heartbeat,
    outcome_of,
    record_at,
    updated,
)

from testbed.oracle import Oracle
from testbed.recording import AcknowledgedRecord


def test_unavailable_bodies_use_earlier_row() -> None:
    row: Columns = {"id": CALLER.upper(), "request_body": {"delegation_id": "d-1", "task": "x" * 2000}}
    update = updated(delegate(0, "dispatched", id=CALLER, request_body=UNAVAILABLE_VALUE), 4)
    assert fold_values(update)[0] == ["dead_letter"]
    outcomes, rows = fold_values(delegate(0, **row), update)
    assert outcomes == ["inserted", "advanced"]
    assert rows["d-1"].updated_at == TEN + timedelta(minutes=4)


def test_small_rows_are_not_stored() -> None:
    update = updated(delegate(0, "dispatched", id=CALLER, request_body=UNAVAILABLE_VALUE), 4)
    assert fold_values(delegate(0, id=CALLER), update)[0] == ["inserted", "dead_letter"]


def test_row_reads_the_same_in_each_envelope() -> None:
    row = delegate(0)
    as_text = row | {"request_body": json.dumps(row["request_body"])}
    envelopes = [
        row,
        as_text | {"__deleted": "false", "__op": "c"},
        {"op": "r", "after": as_text},
        {"schema": {}, "payload": {"op": "c", "after": as_text}},
        {"specversion": "1.0", "data": row | {"created_at": None}, "time": at(0)},
    ]
    tables = [fold_values(envelope)[1] for envelope in envelopes]
    assert all(table == fold_values(row)[1] for table in tables)


def test_updates_take_time_of_change() -> None:
    unwrapped = heartbeat(1) | {"__op": "u", "__source_ts_ms": int((TEN + timedelta(minutes=9)).timestamp() * 1000)}
    cloud_event = {"specversion": "1.0", "time": at(12), "data": heartbeat(1)}
    beats = [
        fold_values(delegate(0), event)[1]["d-1"].last_heartbeat
        for event in (unwrapped, cloud_event, updated(heartbeat(1), 7))
    ]
    assert beats == [TEN + timedelta(minutes=minute) for minute in (9, 12, 7)]


def test_record_timestamp_replaces_missing_time() -> None:
    oracle = Oracle()
    oracle.apply(record_at(0, delegate(0, created_at=None), timestamp=1_746_439_200_000))
    assert oracle.rows["d-1"].created_at == TEN
    assert outcome_of(delegate(0, created_at=None), timestamp=-1) == "dead_letter"


@pytest.mark.parametrize(
    "value",
    [
        b"null",
        {"op": "d", "before": {}, "after": None},
        {"op": "t"},
        {"op": "m"},
        {"schema": {}, "payload": None},
        {"ts_ms": 1, "ts_us": 1000},
        {"schema": {}, "payload": {"ts_ms": 1}},
        {"status": "END", "event_count": 2},
        delegate(0) | {"__deleted": "true"},
    ],
)
def test_record_of_connector_is_tombstone(value: object) -> None:
    assert outcome_of(value) == "tombstone"


def test_null_marker_is_ignored() -> None:
    assert outcome_of(delegate(0) | {"op": None, "specversion": None, "payload": {"op": None}}) == "inserted"
    assert outcome_of({"op": None, "specversion": "1.0", "data": delegate(0)}) == "inserted"


def test_unavailable_error_is_none() -> None:
    outcomes, rows = fold_values(delegate(0), answer(1, "failed", error_detail=UNAVAILABLE_VALUE))
    assert outcomes == ["inserted", "advanced"]
    assert rows["d-1"].error_detail is None


def test_null_value_is_tombstone() -> None:
    assert Oracle().apply(AcknowledgedRecord("activity-log", 0, 0, None, b"key", None)) == "tombstone"


def test_other_activities_are_unrelated() -> None:
    assert (
        outcome_of(answer(0, "completed") | {"activity_type": "a2a_receive", "created_at": "infinity"}) == "unrelated"
    )


@pytest.mark.parametrize("row", [answer(0, "queued", response_body=None), heartbeat(0) | {"request_body": "[]"}])
def test_result_or_heartbeat_without_id_is_uncorrelated(row: Columns) -> None:
    assert outcome_of(row) == "uncorrelated"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"[1]",
        b'{"activity_type": NaN}',
        b'{"activity_type": "\xff"}',
        {"ts_ms": 1, "other": 2},
        {"op": "x"},
        {"op": "c", "after": None},
        {"specversion": "1.0", "data": "row"},
        {"activity_type": 7},
        delegate(0, method="phone"),
        delegate(0, "done"),
        answer(0, "done", response_body=None),
        delegate(0, target_id=None),
        delegate(0, workspace_id="me"),
        delegate(0, request_body={"task": "no id"}),
        delegate(0, request_body="{"),
        delegate(0, request_body={"delegation_id": "d" * 513}),
        delegate(0, request_body={"delegation_id": "d-1", "task": 3}),
        delegate(0, request_body={"delegation_id": "d-1", "deadline": "soon"}),
        delegate(0, idempotency_key="é" * 257),
        delegate(0, created_at="infinity"),
        delegate(0, created_at="9999-12-31T20:00:00Z"),
        delegate(0, created_at="0001-01-01T00:00:00+01:00"),
        answer(0, "completed", text=5),
        updated(heartbeat(0), 0) | {"source": {"ts_ms": True}},
        updated(heartbeat(0), 0) | {"source": 1_746_439_200_000},
        updated(heartbeat(0), 0) | {"source": {"ts_ms": 10**18}},
    ],
)
def test_unreadable_value_is_dead_letter(value: object) -> None:
    assert outcome_of(value) == "dead_letter"


def test_unused_columns_are_not_validated() -> None:
    invalid: Columns = {"workspace_id": 7, "target_id": "nobody", "error_detail": [], "idempotency_key": {}, "id": 0}
    assert fold_values(delegate(0), answer(1, "in_progress", text=5, **invalid))[0] == ["inserted", "advanced"]
    assert fold_values(delegate(0, "failed", workspace_id=7, source_id=CALLER, error_detail="x", response_body="{"))[
        0
    ] == ["inserted"]
