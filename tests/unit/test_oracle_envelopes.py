"""How the oracle opens envelopes and wrappings (events/README.md, section 1)."""

import base64
import json
from datetime import timedelta

import pytest
from rows import (
    TEN,
    Columns,
    answer,
    at,
    delegate,
    outcome_of,
)

from testbed.oracle import Oracle
from testbed.recording import AcknowledgedRecord

ROW = delegate(0)
BYTES = json.dumps(ROW).encode()
TEXT = json.dumps(BYTES.decode()).encode()
HEAD = b"\x00\x00\x00\x01\x05"
BASE64 = base64.b64encode(BYTES).decode()
TEN_MS = 1_746_439_200_000


def change(op: str = "c", after: object = ROW, **fields: object) -> Columns:
    return {"op": op, "before": None, "after": after, "source": {"table": "activity_logs"}} | fields


def cloud_event(**fields: object) -> Columns:
    return {"specversion": "1.0", "time": at(3)} | fields


# --- markers and wrappings


@pytest.mark.parametrize("marker", [{"op": "d"}, {"op": 7}, {"specversion": "1.0"}, {"schema": {}, "payload": None}])
def test_activity_type_at_the_top_makes_a_bare_row(marker: Columns) -> None:
    assert outcome_of(ROW | marker) == "inserted"
    assert outcome_of({"schema": {}, "payload": ROW | marker}) == "inserted"


@pytest.mark.parametrize("activity_type", [None, 7, {}])
def test_activity_type_of_another_json_type_is_dead_letter(activity_type: object) -> None:
    assert outcome_of({"op": "d", "activity_type": activity_type}) == "dead_letter"
    assert outcome_of(change(after={"activity_type": activity_type}, source={"table": "agents"})) == "dead_letter"


def test_op_comes_before_specversion_and_both_before_the_pair() -> None:
    assert outcome_of(change() | {"specversion": "1.0", "data": {}, "schema": {}, "payload": {}}) == "inserted"
    assert outcome_of(cloud_event(data=ROW, schema={}, payload={})) == "inserted"
    assert outcome_of({"op": None, "specversion": None, "schema": {}, "payload": ROW}) == "inserted"


@pytest.mark.parametrize("payload", [change(), cloud_event(data=ROW), ROW])
def test_payload_is_read_by_the_same_markers(payload: Columns) -> None:
    assert outcome_of({"schema": {}, "payload": payload}) == "inserted"


@pytest.mark.parametrize(
    "value",
    [
        {"schema": {}, "payload": {"schema": {}, "payload": ROW}},
        {"schema": {}, "payload": json.dumps(ROW)},
        {"schema": {}, "payload": []},
        {"payload": ROW},
        {"schema": {}},
    ],
)
def test_no_pair_around_an_envelope_is_dead_letter(value: Columns) -> None:
    assert outcome_of(value) == "dead_letter"


@pytest.mark.parametrize(
    "value",
    [
        HEAD + BYTES,
        TEXT,
        cloud_event(data=BYTES.decode()),
        cloud_event(data_base64=BASE64),
        cloud_event(data=None, data_base64=BASE64),
        cloud_event(data=ROW, data_base64="not base64"),
        HEAD + json.dumps(cloud_event(data=BYTES.decode())).encode(),
        json.dumps(json.dumps(cloud_event(data_base64=BASE64))).encode(),
    ],
)
def test_each_wrapping_is_taken_off_once(value: object) -> None:
    assert outcome_of(value) == "inserted"


@pytest.mark.parametrize(
    "value",
    [
        HEAD + TEXT,
        HEAD + b" " + BYTES,
        HEAD + HEAD + BYTES,
        HEAD + b"null",
        json.dumps(TEXT.decode()).encode(),
        cloud_event(data=TEXT.decode()),
        cloud_event(data_base64=base64.b64encode(TEXT).decode()),
        cloud_event(data_base64=BASE64.rstrip("=") if BASE64.endswith("=") else BASE64[:-1]),
        cloud_event(data_base64=BASE64 + "\n"),
        cloud_event(data_base64=7),
        cloud_event(data="null"),
        cloud_event(data=[], data_base64=BASE64),
        cloud_event(data={"before": None, "after": ROW}),
        b"\xef\xbb\xbf" + BYTES,
        HEAD + b"\xef\xbb\xbf" + BYTES,
        json.dumps("\ufeff" + BYTES.decode()).encode(),
    ],
)
def test_second_layer_or_byte_order_mark_is_dead_letter(value: object) -> None:
    assert outcome_of(value) == "dead_letter"


def test_converter_of_debezium_is_named() -> None:
    oracle = Oracle()
    value = json.dumps(cloud_event(data={"before": None, "after": ROW})).encode()
    oracle.apply(AcknowledgedRecord("activity-log", 0, 0, None, None, value))
    assert "Debezium's own CloudEvents converter" in oracle.dead_letters[0].reason


def test_text_that_holds_null_or_a_connector_record_is_tombstone() -> None:
    assert [outcome_of(text) for text in ("null", '{"ts_ms": 1}')] == ["tombstone", "tombstone"]


# --- change events


def test_change_event_of_another_table_is_unrelated() -> None:
    other = {"id": 1, "name": "x"}
    assert outcome_of(change("u", other, source={"table": "agents", "ts_ms": "soon"})) == "unrelated"
    assert outcome_of(change("d", other, source={"table": "agents"})) == "tombstone"
    for table in ("activity_logs", 7, None):
        assert outcome_of(change("c", other, source={"table": table})) == "dead_letter"
    assert outcome_of(change("c", None, source={"table": "agents"})) == "dead_letter"


@pytest.mark.parametrize("source", [7, "platform", [], False])
def test_source_of_another_json_type_is_dead_letter(source: object) -> None:
    assert [outcome_of(change(op, source=source)) for op in "crud"] == ["dead_letter"] * 3 + ["tombstone"]
    assert outcome_of(change("c", source=None)) == "inserted"


def test_update_without_time_has_that_of_the_record() -> None:
    for value in (change("u", source={}), delegate(0) | {"__op": "u"}):
        oracle = Oracle()
        record = AcknowledgedRecord("activity-log", 0, 0, TEN_MS + 60_000, None, json.dumps(delegate(0)).encode())
        oracle.apply(record)
        oracle.apply(record._replace(offset=1, value=json.dumps(_failed(value)).encode()))
        assert oracle.rows["d-1"].updated_at == TEN + timedelta(minutes=1)


def _failed(value: Columns) -> Columns:
    return value | ({"after": delegate(0, "failed")} if "after" in value else {"status": "failed"})


@pytest.mark.parametrize("ms", [1.5, float(TEN_MS), True, "1746439200000", 10**18])
def test_time_of_an_update_is_whole_milliseconds(ms: object) -> None:
    assert outcome_of(change("u", source={"ts_ms": ms})) == "dead_letter"
    assert outcome_of(delegate(0) | {"__op": "u", "__source_ts_ms": ms}) == "dead_letter"


def test_time_of_an_envelope_is_read_only_where_it_is_used() -> None:
    unrelated = {"activity_type": "agent_log"}
    assert outcome_of(cloud_event(data=unrelated, time="soon")) == "unrelated"
    assert outcome_of(change("u", unrelated, source={"ts_ms": "soon"})) == "unrelated"
    assert outcome_of(change("c", source={"ts_ms": "soon"})) == "inserted"
    assert outcome_of(cloud_event(data=answer(0, "queued", response_body=None), time="soon")) == "uncorrelated"


@pytest.mark.parametrize("timestamp", [None, -1, -7])
def test_negative_timestamp_of_a_record_is_none(timestamp: int | None) -> None:
    assert outcome_of(delegate(0, created_at=None), timestamp) == "dead_letter"
