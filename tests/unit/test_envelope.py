"""What a record's value is (CONTRACT §1): envelopes by their markers, what means nothing, and what nobody can open."""

import json
import random
from typing import Any

import pytest
from builders import Memory, dead, folded, log, outcome, said
from fuzz import hostile
from rows import CALLER, answer, beat, delegate, updated

from projector.contract.envelope import Activity, Envelope, is_unrelated, open_value
from projector.contract.facts import Status
from projector.contract.unreadable import Unreadable
from projector.domain.outcomes import Outcome

ROW = delegate(0)
FAST = b"plain"
STRICT = b"NaN and Infinity"
"""In a text, these words send a value the long way: each envelope is opened on both."""


def opened(value: Any, by: bytes = FAST) -> Activity | None:
    if isinstance(value, dict) and by is STRICT:
        value = value | {"note": by.decode()}
    return open_value(json.dumps(value).encode())


def activity(value: Any, by: bytes = FAST) -> Activity:
    found = opened(value, by)
    assert found is not None
    return found


@pytest.mark.parametrize("by", [FAST, STRICT])
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
def test_envelope_is_told_by_its_marker(value: Any, expected: tuple[object, ...], by: bytes) -> None:
    found = activity(value, by)
    assert (found.envelope, found.is_update, found.time) == expected
    assert found.row["request_body"] == ROW["request_body"]


@pytest.mark.parametrize("by", [FAST, STRICT])
@pytest.mark.parametrize(
    "columns",
    [
        {"op": None, "specversion": None},
        {"schema": "public", "payload": {"op": "d"}},
        {"schema": {}, "payload": None},
        {"event_count": 3, "status": "BEGIN"},
        {"ts_ms": 1, "data": {}, "after": None, "source": "x", "time": 7},
    ],
)
def test_unknown_columns_of_a_bare_row_are_no_markers(columns: dict[str, object], by: bytes) -> None:
    assert activity(ROW | columns, by).envelope is Envelope.BARE


def test_large_row_with_a_column_named_payload_is_read_and_remembered() -> None:
    row = delegate(
        0, id=CALLER, schema="public", payload="p", request_body={"delegation_id": "d-1", "task": "t" * 1600}
    )
    assert said(row).large_row_id == CALLER


@pytest.mark.parametrize("by", [FAST, STRICT])
def test_first_marker_wins(by: bytes) -> None:
    change = {"op": "c", "after": ROW}
    assert activity(change | {"specversion": "1.0", "data": {}, "activity_type": "x"}, by).envelope is Envelope.DEBEZIUM
    event = {"specversion": "1.0", "data": ROW}
    assert activity(event | {"activity_type": "x"}, by).envelope is Envelope.CLOUD_EVENT
    assert activity(change | {"schema": {}, "payload": {"op": "d"}}, by).envelope is Envelope.DEBEZIUM


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
def test_what_means_nothing_is_a_tombstone(value: object) -> None:
    assert outcome(value) is Outcome.TOMBSTONE


def test_deleting_a_row_never_ends_a_delegation() -> None:
    memory = folded(log(ROW, {"op": "d", "before": ROW, "after": None}, None, b"null", ROW | {"__deleted": "true"}))
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
        (b'{"schema": {}, "payload": 17}', None),
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
def test_what_nobody_can_open_is_a_dead_letter(value: bytes, field: str | None) -> None:
    at_fault, reason = dead(value)
    assert at_fault == field
    assert reason


def test_reason_says_what_is_wrong() -> None:
    assert dead(b'{"activity_type": "\xff"}')[1] == "not UTF-8: invalid start byte at byte 19"
    assert dead(b"{")[1].startswith("not JSON: Expecting property name")
    assert dead(b"[]")[1] == "not a JSON object"
    assert dead(b'{"activity_type": "x", "z": NaN}')[1] == "not JSON: NaN is not a JSON value"
    assert dead({})[1] == "in none of the envelopes: it has neither op, nor specversion, nor activity_type"


@pytest.mark.parametrize("trap", [b"1],[2", b'"a":1},{"b":2', b'{"activity_type": "x"},{"activity_type": "y"}', b"}"])
def test_value_that_is_several_never_shifts_its_neighbours(trap: bytes) -> None:
    memory = Memory()
    outcomes = memory.project(log(delegate(0), trap, delegate(1, "dispatched"), beat(2)))
    assert outcomes == [Outcome.INSERTED, Outcome.ADVANCED, Outcome.HEARTBEAT, Outcome.DEAD_LETTER]
    assert [(letter.record.offset, letter.record.value) for letter in memory.dead_letters] == [(1, trap)]


def test_last_of_two_equal_keys_counts_on_either_way() -> None:
    twice = b'{"activity_type": "agent_log", "activity_type": "delegation", "method": "heartbeat"%s}'
    assert outcome(twice % b"") is Outcome.UNCORRELATED
    assert outcome(twice % b', "z": "NaN"') is Outcome.UNCORRELATED


@pytest.mark.parametrize("levels", [10, 150, 400])
def test_nesting_that_no_rule_reads_is_harmless(levels: int) -> None:
    deep = json.loads("[" * levels + "]" * levels)
    assert outcome(delegate(0, tool_trace=deep)) is Outcome.INSERTED


@pytest.mark.parametrize("levels", [480, 499, 500, 501, 980, 985, 986, 987, 988, 989, 990, 1000, 10_000, 100_000])
@pytest.mark.parametrize(
    "field", ["op", "activity_type", "status", "created_at", "request_body", "tool_trace", "payload"]
)
def test_nesting_however_deep_ends_in_an_outcome(field: str, levels: int) -> None:
    nest = b"[" * levels + b"]" * levels if field != "payload" else b'{"payload":' * levels + b"1" + b"}" * levels
    text = json.dumps({name: column for name, column in ROW.items() if name != field}).encode()
    ended = outcome(b'%b, "%b": %b}' % (text[:-1], field.encode(), nest))
    assert ended is (Outcome.INSERTED if field in ("tool_trace", "payload") and levels < 500 else Outcome.DEAD_LETTER)


@pytest.mark.parametrize("levels", [10, 400, 990, 100_000])
def test_payloads_in_payloads_are_in_none_of_the_envelopes(levels: int) -> None:
    inmost = json.dumps(ROW).encode()
    assert outcome(b'{"payload":' * levels + inmost + b"}" * levels) is Outcome.DEAD_LETTER


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 4300, "9" * 5000, "-" + "9" * 100_000, "0." + "1" * 9999])
def test_number_of_any_size_is_harmless_where_no_rule_reads_it(number: str) -> None:
    text = json.dumps(answer(0, "completed"))[:-1]
    assert outcome(f'{text}, "duration_ms": {number}}}'.encode()) is Outcome.PARKED
    assert outcome(f'{text}, "created_at": {number}}}'.encode()) is Outcome.DEAD_LETTER


@pytest.mark.parametrize("source", ["x", 17, 1_746_439_260_000, [], True])
def test_source_of_a_wrong_type_is_a_dead_letter_where_its_time_is_used(source: object) -> None:
    change = updated(delegate(0), 1) | {"source": source}
    assert dead(change, 1_746_439_200_000)[0] == "source.ts_ms"
    assert outcome(change | {"op": "c"}) is Outcome.INSERTED
    assert outcome(change | {"after": {"activity_type": "agent_log"}}) is Outcome.UNRELATED


def test_key_is_never_read() -> None:
    keys = [None, b"", b"\xff", b'{"id":"1"}', b"\x00"]
    records = [each._replace(key=key) for key, each in zip(keys, log(*[ROW] * len(keys)), strict=True)]
    assert folded(records).dead_letters == []


def test_none_of_the_hot_path_s_errors_hides_the_reason() -> None:
    with pytest.raises(Unreadable, match="unknown kind of change"):
        open_value(b'{"op": "x", "note": "\\ud800"}')


# --- told by a glimpse

CALL = ROW | {"activity_type": "tool_call"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (CALL, True),
        ({"op": "c", "after": CALL, "source": {"ts_ms": 7}}, True),
        ({"op": "u", "before": CALL, "after": CALL, "source": 7}, True),
        ({"specversion": "1.0", "data": CALL, "time": "now"}, True),
        (CALL | {"__op": "u", "__deleted": "false"}, True),
        (CALL | {"__deleted": "true"}, False),
        ({"op": "d", "after": CALL}, False),
        ({"op": "x", "after": CALL}, False),
        ({"op": "c", "after": None}, False),
        ({"op": "c", "after": [CALL]}, False),
        ({"schema": {}, "payload": CALL}, False),
        ({"padding": "x" * 300} | ROW, False),
        ({"padding": "x" * 300} | CALL, True),
        (CALL | {"activity_type": 7}, False),
        (CALL | {"activity_type": None}, False),
        ({"op": "c", "after": {"activity_type": ["tool_call"]}}, False),
        ({"status": "BEGIN", "event_count": None}, False),
        (CALL | {"note": "NaN is not a number"}, False),
        (7, False),
    ],
)
def test_glimpse_tells_other_activities_and_leaves_all_else_to_the_whole_reading(value: Any, expected: bool) -> None:
    assert is_unrelated(json.dumps(value).encode()) is expected


@pytest.mark.parametrize(
    "value",
    [
        b'{"activity_type": "tool_call", "n": NaN}',
        b'{"activity_type": "tool_call", "n": [-Infinity]}',
        b'{"activity_type": "tool_call", "n": 01}',
        b'{"activity_type": "tool_call", "n": "\\ud800"}',
        b'{"activity_type": "tool_call", "n": "\xff"}',
        b'{"activity_type": "tool_call", "n": ' + b"[" * 600 + b"]" * 600 + b"}",
        b'{"activity_type": "tool_call"} x',
        b'{"activity_type": "tool_call", "activity_type": "delegat\\u0069on"}',
    ],
)
def test_what_is_not_json_or_not_quite_is_not_told_by_a_glimpse(value: bytes) -> None:
    assert not is_unrelated(value)


def test_nothing_hostile_passes_for_another_activity_by_a_glimpse_alone() -> None:
    told = 0
    for value in hostile(random.Random(5), 6_000):
        value = value.replace(b'"delegation"', b'"tool_call"')
        if is_unrelated(value):
            found = open_value(value)
            assert found is not None
            assert isinstance(found.row.get("activity_type"), str)
            assert found.row.get("activity_type") != "delegation"
            told += 1
    assert told > 1_000
