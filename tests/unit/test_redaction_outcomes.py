"""Redaction: each record ends in the same outcome as before."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from builders import outcomes_of, record
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from redacting import REDACTION, SECRET, endings, redacted, redacted_bytes
from rows import CALLEE, Columns, answer, delegate, heartbeat, verdict
from strategies import EVENT, as_base64, as_text, tampered, texts, values, wrapped, written

from projector.contract import strict_json
from projector.contract.envelope import BODY_FIELDS
from projector.contract.unreadable import Unreadable
from projector.domain.outcomes import Outcome

MANY = settings(max_examples=300, deadline=None)


def assert_same_endings(values: Sequence[object]) -> None:
    records = [record(value, offset) for offset, value in enumerate(values)]
    assert endings([REDACTION.redacted(each) for each in records]) == endings(records)


@MANY
@given(st.lists(tampered(), max_size=4), st.booleans())
@example([delegate(0, status="Pending")], True)
@example([delegate(0, request_body='"\\x"'), delegate(0, request_body='"\\u12"')], True)
@example([delegate(0, request_body="null"), delegate(0, request_body="nul")], True)
@example([{"op": "x", "after": delegate(0)}, {"op": 5, "after": delegate(0)}], True)
@example([delegate(0) | {"op": "c", "after": delegate(0), "data": {}}], True)
@example([delegate(0) | {"specversion": "2", "data": delegate(0)}], True)
@example([delegate(0) | {"op": None, "specversion": None, "payload": 5, "schema": 5}], True)
@example([delegate(0, created_at="2025-13-99"), delegate(0, created_at="infinity")], True)
@example([{"a" * 5: 1, "activity_type": "x", "b b": 2, "c c": 3}], True)
def test_tampered_record_keeps_its_outcome(found: list[Any], ascii_only: bool) -> None:
    assert_same_endings([written(value, ascii_only=ascii_only) for value in found])


NO_ROWS: list[Any] = [None, 12, "a", [], {}, as_text(delegate(0))]


@MANY
@given(st.lists(wrapped(tampered() | values), max_size=4))
@example([written("null"), written('"null"'), written("12"), written('"a"'), written(""), written("[]")])
@example([b"\0\0\0\1\2" + written(delegate(0)), b"\0{{{{{", b"\0\xff\xff\xff\xff{}", b"\0\0\0\0\0"])
@example([written(EVENT | {"data_base64": text}) for text in ("AAAA", "MTIz", "e30=", "DS==A", "!", "é", "\ud800", "")])
@example([written(EVENT | {"data_base64": as_base64(each)}) for each in NO_ROWS])
@example([written(EVENT | {"data": text}) for text in ("null", "12", '"a"', "[]", "{}", "x", "")])
def test_wrapped_record_keeps_its_outcome(found: list[bytes]) -> None:
    assert_same_endings(found)


@pytest.mark.parametrize("table", ["activity_logs", "users", "", "null", "Activity_logs", "\ud800", None, 7, {}])
def test_row_of_another_table_keeps_its_outcome(table: Any) -> None:
    assert_same_endings([{"op": "c", "after": {"id": 7}, "source": {"table": table}}])
    assert_same_endings([{"op": "u", "after": delegate(0), "source": {"table": table}}])


def test_verdicts_and_their_evidence_keep_their_outcome() -> None:
    found = [verdict(2, silent=0), delegate(0), verdict(3, silent=0, of="d-2"), heartbeat(5), verdict(6, silent=4)]
    assert_same_endings([*found, verdict(7, silent=5, error_detail=SECRET), verdict(8, "failed", silent=None)])
    assert_same_endings([verdict(1, silent=None), verdict(1, "error"), verdict(1, request_body={"silent_since": "x"})])
    evidence = {"delegation_id": "d-2", "silent_since": 1_746_439_200_000_001}
    assert_same_endings([delegate(0), verdict(9, request_body=evidence), verdict(9, request_body=json.dumps(evidence))])


@pytest.mark.parametrize("bad", ["\x00", "\ud800", "d-1\x00", "\ud800d-1", "\x00" * 513])
def test_id_that_postgres_cannot_hold_stays_a_dead_letter(bad: str) -> None:
    body = {"delegation_id": bad, "task": "x"}
    found = [delegate(0, request_body=body), delegate(0, idempotency_key=bad), answer(1, "completed", of=bad)]
    assert_same_endings([*found, heartbeat(1, of=bad), verdict(1, of=bad)])


@MANY
@given(st.lists(values.map(written) | st.binary(max_size=20), max_size=6))
@example(
    [b"", b"[" * 600, b"\xff", b'"\xed\xa0\x80"', b"nul", b"1e400", b'{"activity_type": "\\u0000\\/\\ud83d\\ude00"}']
)
def test_any_bytes_keep_their_outcome(found: list[bytes]) -> None:
    assert_same_endings(found)


@pytest.mark.parametrize("op", [*"ABCDEFGHX!? 5", "\u00e9", "c ", "R"])
def test_unknown_op_never_becomes_a_known_one(op: str) -> None:
    assert_same_endings([{"op": op, "after": delegate(0), "before": delegate(0)}, delegate(0) | {"__op": op}])


def test_cloud_event_and_rare_times_keep_their_outcome() -> None:
    event = {"specversion": "1.0", "id": "no uuid", "type": "com.example.activity", "time": "20250505T100000,5Z"}
    request = delegate(
        0, created_at="20250505T1000", request_body={"delegation_id": "d-1", "task": "x", "deadline": "2025-W30-1"}
    )
    assert_same_endings(
        [event | {"data": request}, event | {"data": answer(1, "completed", text="y")}, event | {"data": 5}]
    )
    shown = redacted(event | {"data": request})
    assert (shown["specversion"], shown["time"]) == ("1.0", event["time"])
    assert shown["type"] != event["type"]


def in_body(text: str) -> Columns:
    return {"request_body": {"delegation_id": "d-1", "task": text, text: [text]}}


def in_text_of_json(text: str) -> Columns:
    return {"request_body": json.dumps(in_body(text)["request_body"], indent=1, ensure_ascii=False)}


def in_column(text: str) -> Columns:
    return {"error_detail": text, "tool_trace": [{"name": text}]}


@MANY
@given(st.sampled_from([in_body, in_text_of_json, in_column]), texts)
@example(in_body, SECRET)
@example(in_text_of_json, SECRET)
@example(in_column, '{"a" : "\x00\\"}')
def test_row_stays_on_its_side_of_large(columns: Callable[[str], Columns], text: str) -> None:
    """Find the shortest summary that makes the row large. Redact the row with it, and with one character less."""

    assume(text not in BODY_FIELDS)  # `in_body` would overwrite such a field

    def is_large(size: int, redact: Callable[[bytes], bytes] = lambda content: content) -> bool:
        row = delegate(0, id=CALLEE, summary="x" * size, **columns(text))
        [(outcomes, _, (large_rows, _), _, _)] = endings([record(redact(written(row)))])
        assert outcomes == [Outcome.INSERTED]
        return bool(large_rows)

    least, most = 0, 1500
    while least < most:
        size = (least + most) // 2
        least, most = (least, size) if is_large(size) else (size + 1, most)
    for size in {least, max(least - 1, 0)}:
        assert is_large(size, redacted_bytes) == is_large(size)


@pytest.mark.parametrize("key", ["k" * 512, "k" * 513, "\u00e4" * 256, "\u00e4" * 256 + "k"])
def test_idempotency_key_stays_on_its_side_of_the_limit(key: str) -> None:
    row = delegate(0, idempotency_key=key)
    ended = outcomes_of(record(row))
    assert outcomes_of(REDACTION.redacted(record(row))) == ended
    assert (ended == [Outcome.DEAD_LETTER]) == (len(key.encode()) > 512)


@pytest.mark.parametrize("value", [b"no json", b"\xff\xfe", b"", b"[" * 600, b"x"])
def test_unreadable_value_stays_unreadable(value: bytes) -> None:
    shown = redacted_bytes(value)
    assert (len(shown), shown == value, _is_utf8(shown)) == (len(value), value == b"", _is_utf8(value))
    with pytest.raises(Unreadable):
        strict_json.loads(shown)


def _is_utf8(content: bytes) -> bool:
    return content.decode(errors="ignore").encode() == content


@pytest.mark.parametrize("number", ["1.0", "-0", "1e400", "-1e400", "1e-400", "12345678901234567890123", "9" * 4200])
def test_numbers_stay_as_the_parser_reads_them(number: str) -> None:
    text = f'{{"activity_type": "x", "Infinity": {number}, "request_body": "[{number}, \\"Infinity\\"]"}}'
    before: Any = strict_json.loads(text)
    after = strict_json.loads(redacted_bytes(text.encode()))
    assert isinstance(after, dict)
    assert repr(after["Infinity"]) == repr(before["Infinity"])
    assert repr(json.loads(after["request_body"])[0]) == repr(before["Infinity"])
