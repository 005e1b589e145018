"""Envelopes (events/README.md, section 1): markers, values that mean nothing, and those that cannot be opened."""

import json
from typing import Any

import pytest
from builders import dead_letter_of, fold_batches, log, outcome_of, translation_of
from rows import CALLER, delegate

from projector.contract.envelope import Activity, Envelope, open_value
from projector.contract.facts import Status
from projector.contract.unreadable import Unreadable
from projector.domain.outcomes import Outcome

ROW = delegate(0)
NOTES = ["plain", "\ud800"]
"""msgspec refuses the second one. Each envelope is read by it and by the parser of the standard library."""


def opened(value: Any, note: str = "plain") -> Activity:
    activity = open_value(json.dumps(value | {"note": note}).encode())
    assert isinstance(activity, Activity)
    return activity


@pytest.mark.parametrize("note", NOTES)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (ROW, (Envelope.BARE, False, None)),
        ({"op": "c", "after": ROW, "source": {"ts_ms": 7}}, (Envelope.DEBEZIUM, False, None)),
        ({"op": "r", "after": ROW, "source": {"ts_ms": 7}}, (Envelope.DEBEZIUM, False, None)),
        ({"op": "u", "after": ROW, "source": {"ts_ms": 7}}, (Envelope.DEBEZIUM, True, 7)),
        ({"op": "u", "after": ROW}, (Envelope.DEBEZIUM, True, None)),
        ({"op": "u", "after": ROW, "source": {}}, (Envelope.DEBEZIUM, True, None)),
        ({"schema": {}, "payload": {"op": "u", "after": ROW, "source": {"ts_ms": 7}}}, (Envelope.DEBEZIUM, True, 7)),
        ({"specversion": "1.0", "data": ROW, "time": "now"}, (Envelope.CLOUD_EVENT, False, "now")),
        (ROW | {"__op": "u", "__source_ts_ms": 7, "__deleted": "false"}, (Envelope.UNWRAPPED, True, 7)),
        (ROW | {"__op": "c", "__source_ts_ms": 7}, (Envelope.UNWRAPPED, False, 7)),
        (ROW | {"__op": None, "__deleted": 1}, (Envelope.BARE, False, None)),
        ({"schema": {}, "payload": ROW | {"__op": "u"}}, (Envelope.UNWRAPPED, True, None)),
    ],
)
def test_marker_identifies_the_envelope(value: Any, expected: tuple[object, ...], note: str) -> None:
    activity = opened(value, note)
    assert (activity.envelope, activity.is_update, activity.time) == expected
    assert activity.row["request_body"] == ROW["request_body"]


@pytest.mark.parametrize("note", NOTES)
@pytest.mark.parametrize(
    "columns",
    [
        {"op": None, "specversion": None},
        {"op": "d", "after": None},
        {"op": 7, "specversion": "1.0", "data": {}},
        {"schema": "public", "payload": {"op": "d"}},
        {"schema": {}, "payload": None},
        {"event_count": 3, "status": "BEGIN"},
        {"ts_ms": 1, "data": {}, "after": None, "source": "x", "time": 7},
    ],
)
def test_other_columns_of_a_bare_row_are_no_markers(columns: dict[str, object], note: str) -> None:
    assert opened(ROW | columns, note).envelope is Envelope.BARE


def test_column_named_payload_does_not_hide_a_large_row() -> None:
    body = {"delegation_id": "d-1", "task": "t" * 1600}
    assert (
        translation_of(delegate(0, id=CALLER, schema="public", payload="p", request_body=body)).large_row_id == CALLER
    )


@pytest.mark.parametrize(("letter", "row_id"), [("e", None), ("é", CALLER)])
def test_size_of_a_row_counts_bytes(letter: str, row_id: str | None) -> None:
    body = json.dumps({"delegation_id": "d-1", "task": letter * 800}, ensure_ascii=False)
    assert translation_of(delegate(0, id=CALLER, request_body=body)).large_row_id == row_id


@pytest.mark.parametrize("note", NOTES)
def test_first_marker_wins(note: str) -> None:
    change = {"op": "c", "after": ROW}
    event = {"specversion": "1.0", "data": ROW}
    assert opened(change | event | {"activity_type": None}, note).envelope is Envelope.BARE
    assert opened(change | {"specversion": "1.0", "data": {}}, note).envelope is Envelope.DEBEZIUM
    assert opened(event | {"op": None, "schema": {}, "payload": None}, note).envelope is Envelope.CLOUD_EVENT
    assert opened(change | {"schema": {}, "payload": {"op": "d"}}, note).envelope is Envelope.DEBEZIUM


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"null",
        b" null\n",
        b'{"schema": {}, "payload": null}',
        {"op": "d", "before": ROW, "after": None},
        {"op": "t"},
        {"op": "m", "message": {"prefix": "p", "content": "AA=="}},
        {"schema": {}, "payload": {"op": "d"}},
        ROW | {"__deleted": "true"},
        ROW | {"__deleted": True, "__op": "d"},
        {"ts_ms": 1777975200123},
        {"ts_ms": 1, "ts_us": 1, "ts_ns": 1},
        {"schema": {}, "payload": {"ts_ms": 1, "ts_us": 1}},
        {"status": "BEGIN", "id": "5:1", "event_count": None, "data_collections": None, "ts_ms": 1},
        {"status": "END", "id": "5:1", "event_count": 2},
        {"schema": {}, "payload": {"status": "END", "event_count": 2}},
    ],
)
def test_value_that_means_nothing_is_a_tombstone(value: object) -> None:
    assert outcome_of(value) is Outcome.TOMBSTONE


@pytest.mark.parametrize("note", NOTES)
def test_change_of_another_table_is_unrelated(note: str) -> None:
    change = {"op": "c", "after": {"id": 7, "note": note}}
    assert outcome_of(change | {"source": {"table": "users"}}) is Outcome.UNRELATED
    field, _ = dead_letter_of(json.dumps(change | {"source": {"table": "activity_logs"}}).encode())
    assert field == "activity_type"


def test_deleting_a_row_never_ends_a_delegation() -> None:
    memory = fold_batches(
        log(ROW, {"op": "d", "before": ROW, "after": None}, None, b"null", ROW | {"__deleted": "true"})
    )
    assert memory.rows["d-1"].status is Status.QUEUED


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (b"", None),
        (b" ", None),
        (b"[]", None),
        (b'"x"', None),
        (b"17", None),
        (b"true", None),
        (b"{}", None),
        (b"not json", None),
        (b'{"activity_type": "agent_log"', None),
        (b'{"activity_type": "agent_log",}', None),
        (b'{"activity_type": "agent_log"}{}', None),
        (b"{'activity_type': 'agent_log'}", None),
        (b'{"activity_type": "agent_log", "z": NaN}', None),
        (b'{"activity_type": "agent_log", "z": -Infinity}', None),
        (b'{"activity_type": "agent_log", "z": 01}', None),
        (b'{"activity_type": "a\tb"}', None),
        (b'{"activity_type": "\xff"}', None),
        (b'{"activity_type": "\xed\xa0\x80"}', None),
        (b'\xef\xbb\xbf{"activity_type": "agent_log"}', None),
        ('{"activity_type": "agent_log"}'.encode("utf-16"), None),
        (b'{"schema": {}, "payload": 17}', "payload"),
        (b'{"schema": {}, "payload": "{}", "status": "BEGIN", "event_count": 1}', "payload"),
        (b'{"schema": {}, "payload": {}}', None),
        (b'{"ts_us": 1}', None),
        (b'{"ts_ms": 1, "more": 1}', None),
        (b'{"status": "BEGIN"}', None),
        (b'{"status": "MIDDLE", "event_count": 1}', None),
        (b'{"op": "x", "after": {}}', "op"),
        (b'{"op": ["c"], "after": {}}', "op"),
        (b'{"op": "c"}', "after"),
        (b'{"op": "r", "after": null}', "after"),
        (b'{"op": "u", "after": "row"}', "after"),
        (b'{"specversion": "1.0"}', "data"),
        (b'{"specversion": "1.0", "data": "PGJpbmFyeT4="}', "data"),
        (b'{"activity_type": null}', "activity_type"),
        (b'{"activity_type": ["delegation"]}', "activity_type"),
        (b'{"op": "c", "after": {"method": "delegate"}}', "activity_type"),
    ],
)
def test_value_in_no_known_form_is_a_dead_letter(value: bytes, field: str | None) -> None:
    wrong_field, reason = dead_letter_of(value)
    assert wrong_field == field
    assert reason


def test_reason_names_the_error() -> None:
    assert dead_letter_of(b'{"activity_type": "\xff"}')[1] == "not UTF-8: invalid start byte at byte 19"
    assert dead_letter_of(b"{")[1].startswith("not JSON: Expecting property name")
    assert dead_letter_of(b"[]")[1] == "not a JSON object"
    assert dead_letter_of(b'{"activity_type": "x", "z": NaN}')[1] == "not JSON: NaN is not a JSON value"
    assert dead_letter_of({})[1] == "in no known envelope: it has none of the fields activity_type, op and specversion"


def test_key_is_never_read() -> None:
    keys = [None, b"", b"\xff", b'{"id":"1"}', b"\x00"]
    records = [record._replace(key=key) for key, record in zip(keys, log(*[ROW] * len(keys)), strict=True)]
    assert fold_batches(records).dead_letters == []


def test_unknown_op_is_named_on_the_slow_path() -> None:
    with pytest.raises(Unreadable, match=r'^unknown op "x": expected'):
        open_value(b'{"op": "x", "note": "\\ud800"}')
