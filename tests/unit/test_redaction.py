"""Redaction: no free text stays readable, and ids, times, numbers and words that a rule compares stay."""

import base64
import json
from typing import Any

import pytest
from builders import record
from hypothesis import example, given, settings
from hypothesis import strategies as st
from recorded import RECORDINGS
from redacting import REDACTION, SECRET, endings, readable, redacted, redacted_bytes
from rows import CALLEE, CALLER, UNAVAILABLE_VALUE, answer, delegate, heartbeat, updated, verdict
from strategies import EVENT, MADE_VALUES, WRAPPINGS, as_base64, as_text, real_values, wrapped, written

from projector.contract import strict_json
from projector.contract.unreadable import Unreadable
from projector.recordings.file import RecordedRecord, dumps, read_recording
from projector.recordings.redaction import Redaction

SAFE = ("created_at", "deadline", "activity_type", "method", "status")
MANY = settings(max_examples=300, deadline=None)
BASE64_SECRET = base64.b64encode(SECRET.encode()).decode()
SECRET_PARTS = ("Zwei", "Geheimnis", "\u00e4\u4e2d", "u4e2d", "\U0001f600", "pear")


def free_texts(value: Any, name: str = "") -> list[str]:
    """Texts of a parsed value, also inside texts of JSON, under names that stand for no id and no time."""
    if isinstance(value, dict) and name != "source":
        return [text for inner, each in value.items() for text in free_texts(each, inner)]
    if isinstance(value, list):
        return [text for each in value for text in free_texts(each, name)]
    if not isinstance(value, str) or name in SAFE:
        return []
    if name == "id" or name.endswith("_id"):
        return []
    try:
        return free_texts(strict_json.loads(value), "") if value[:1] in "{[" else [value]
    except Unreadable:
        return [value]


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_recorded_feed_keeps_outcomes_and_no_text(path: Any) -> None:
    records = list(read_recording(path))
    redacted = [REDACTION.redacted(each) for each in records]
    assert endings(redacted) == endings(records)
    assert [each._replace(key=None, value=None) for each in redacted] == [
        each._replace(key=None, value=None) for each in records
    ]
    values = [json.loads(each.value) for each in records if each.value]
    bodies = [value.get("payload") or value if isinstance(value, dict) else value for value in values]
    texts = {text for text in free_texts(bodies) if len(text) > 8} - {UNAVAILABLE_VALUE}
    assert len(texts) > 10
    shown = b"".join(dumps(each) for each in redacted).decode()
    shown += json.dumps([json.loads(each.value) for each in redacted if each.value], ensure_ascii=False)
    assert [text for text in texts if text in shown] == []


@st.composite
def with_a_secret(draw: st.DrawFn) -> Any:
    """A value with a secret in place of a text, or as the name of a field, at any depth. Delegation ids stay."""
    value = json.loads(json.dumps(draw(st.sampled_from(real_values() + MADE_VALUES))))
    within, field = value, draw(st.sampled_from(sorted(value)))
    while isinstance(inner := within[field], dict) and inner.keys() - {"delegation_id"} and draw(st.booleans()):
        within = inner
        field = draw(st.sampled_from(sorted(within.keys() - {"delegation_id"})))
    inside = draw(st.sampled_from([SECRET, [SECRET], {SECRET: 1}, {"text": {"a": [SECRET]}}, {"task": SECRET}]))
    forms = [inside, json.dumps(inside), json.dumps(inside, ensure_ascii=False), as_base64(inside), BASE64_SECRET]
    field = draw(st.sampled_from([*[field] * 5, "op", "specversion", "data_base64", "table", "silent_since"]))
    within[field] = draw(st.sampled_from(forms))
    if draw(st.booleans()):
        within[SECRET] = {"status": SECRET}
    return value


@MANY
@given(wrapped(with_a_secret()))
@example(written(SECRET))
@example(written(json.dumps(json.dumps({"text": SECRET}))))
@example(b"\0Zwei" + written({"activity_type": "x", "summary": SECRET}))
@example(written(EVENT | {"data_base64": as_base64(EVENT | {"data_base64": as_base64({"text": SECRET})})}))
@example(written(EVENT | {"data": as_text(EVENT | {"data": as_text({"text": SECRET})})}))
def test_secret_is_gone_wherever_it_stood(content: bytes) -> None:
    line = REDACTION.redacted(RecordedRecord("t", 0, 0, None, content, content))
    for each in (line.value, line.key):
        shown = "\n".join(readable(each))
        assert [part for part in SECRET_PARTS if part in shown] == []


def test_secret_under_a_repeated_name_is_gone() -> None:
    text = written(heartbeat(0)).replace(b'"heartbeat"', b'"%b", "method": "heartbeat"' % SECRET[:4].encode())
    assert strict_json.loads(text) == heartbeat(0)
    assert SECRET[:4].encode() not in redacted_bytes(text)


def test_names_in_unknown_columns_are_replaced() -> None:
    row = {"activity_type": "x", "payload": {"Anna": 1}, "after": {"Anna": "Anna"}, "data": '{"Anna": 1}'}
    assert "Anna" not in json.dumps(redacted(row))
    assert "Anna" in json.dumps(redacted({"schema": {}, "payload": {"activity_type": "x", "Anna": 1}}))  # a column


def test_words_stay_only_where_a_rule_compares_them() -> None:
    row = delegate(0, op="book", specversion="two", table="activity_logs")
    shown = redacted(row)
    assert {name for name, content in row.items() if shown[name] != content} == {"request_body", "op", "specversion"}
    change = {"op": "u", "after": {}, "source": {"table": "users"}}
    assert redacted(change)["op"] == "u"
    assert redacted(change)["source"] != change["source"]


def test_evidence_stays() -> None:
    row = verdict(30, silent=5)
    assert redacted(row) == row
    assert (
        json.loads(redacted(row | {"request_body": json.dumps(row["request_body"])})["request_body"])
        == row["request_body"]
    )


def test_wrappings_stay_and_schema_ids_do_not() -> None:
    plain = redacted_bytes(written(delegate(0)))
    assert redacted_bytes(b"\0\1\2\3\4" + written(delegate(0))) == bytes(5) + plain
    assert redacted(as_text(delegate(0))) == plain.decode()
    assert redacted(f" {as_text(None)}") == "null"
    event = EVENT | {"data_base64": as_base64(delegate(0))}
    assert redacted(event) == event | {"data_base64": base64.b64encode(plain).decode()}
    assert json.loads(redacted(EVENT | {"data": as_text(delegate(0))})["data"]) == json.loads(plain)


def test_ids_times_numbers_and_compared_words_stay() -> None:
    row = delegate(0, id=CALLEE, source_id=CALLER, duration_ms=5, tool_trace=[1.5, None, True], summary=SECRET)
    shown = redacted(updated(row, 3))
    assert shown.pop("op") == "u"
    assert shown["source"] == updated(row, 3)["source"]
    assert {name for name, content in row.items() if shown["after"][name] != content} == {"summary", "request_body"}
    assert shown["after"]["request_body"]["delegation_id"] == "d-1"
    assert redacted(heartbeat(0)) == heartbeat(0)


def test_text_of_json_stays_one_of_as_many_bytes() -> None:
    body = json.dumps({"delegation_id": "d-1", "task": SECRET, "deadline": "2025-05-06", SECRET: {"n": [1.0, SECRET]}})
    shown = redacted(delegate(0, request_body=body, tool_trace=body, summary="1234"))
    assert len(shown["request_body"]) == len(shown["tool_trace"]) == len(body)
    inner = json.loads(shown["request_body"])
    assert (inner["delegation_id"], inner["deadline"]) == ("d-1", "2025-05-06")
    assert len(inner["task"].encode()) == len(SECRET.encode())
    assert [type(each) for each in json.loads(shown["tool_trace"]).values()] == [str, str, str, dict]
    assert "d-1" not in shown["tool_trace"]
    assert len(shown["summary"]) == 4
    assert shown["summary"].isalpha()


def test_unavailable_and_empty_texts_stay() -> None:
    row = delegate(
        0, request_body=UNAVAILABLE_VALUE, error_detail="", summary=UNAVAILABLE_VALUE, extra="", idempotency_key=""
    )
    assert redacted(row) == row


@pytest.mark.parametrize("size", [1, 2, 40])
def test_different_idempotency_keys_stay_different(size: int) -> None:
    keys = [chr(code) * size for code in range(1, 1200)] + ["x" * (size - 1) + chr(code) for code in range(32, 127)]
    shown = {key: redacted(delegate(0, idempotency_key=key))["idempotency_key"] for key in keys}
    assert len(set(shown.values())) == len(shown)
    assert [len(each) for each in shown.values()] == [max(16, len(key.encode())) for key in shown]
    assert all(each.isalpha() and each.isascii() for each in shown.values())


@pytest.mark.parametrize(("start", "end"), [(b"[", b"]"), (b'{"a": ', b"}"), (b'[{"payload": ', b"}]")])
def test_deepest_value_is_redacted(start: bytes, end: bytes) -> None:
    levels = 500 // (start.count(b"[") + start.count(b"{"))
    deep = start * levels + b'"pear"' + end * levels
    assert b"pear" not in redacted_bytes(deep)
    for wrap in WRAPPINGS:
        assert "pear" not in "\n".join(readable(redacted_bytes(written(wrap({"activity_type": deep.decode()})))))
    row = written({"activity_type": "x", "request_body": deep.decode()})
    assert b"pear" not in redacted_bytes(row)
    assert strict_json.loads(redacted(strict_json.loads(row))["request_body"])


def test_different_names_stay_different() -> None:
    names = [f"{first}{second}" for first in "abc -_.#" for second in "xyz !?1"]
    shown = redacted({"activity_type": "x", "request_body": dict.fromkeys(names, 1), **dict.fromkeys(names, 1)})
    assert len(shown["request_body"]) == len(names)
    assert {len(name) for name in shown["request_body"]} == {2}
    assert len(shown) == len({*names, "activity_type", "request_body"})
    assert {"ax", "c1", "b_"} & set(shown) == {"ax", "c1"}  # names of columns stay
    assert not set(names) & set(shown["request_body"])


def test_short_names_grow_when_used_up() -> None:
    names = dict.fromkeys(map(chr, range(32, 127)), 1)
    shown = redacted({"activity_type": "x", "request_body": names})["request_body"]
    assert len(shown) == len(names)
    assert max(map(len, shown)) <= 3


def test_same_text_has_one_pseudonym_per_key() -> None:
    row = answer(0, "failed", error="what a pity", error_detail="what a pity")
    shown = redacted(row)
    assert shown["error_detail"] == shown["response_body"]["error"] != "what a pity"
    assert Redaction(b"the key of these tests").redacted(record(row)) == REDACTION.redacted(record(row))
    assert Redaction(b"another key").redacted(record(row)) != REDACTION.redacted(record(row))


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        (CALLER.encode(), True),
        (CALLER.upper().encode(), True),
        (b'"%b"' % CALLER.encode(), True),
        (b'{"id":"%b"}' % CALLER.encode(), True),
        (b'{"schema":null,"payload":{"workspace_id":"%b"}}' % CALLER.encode(), True),
        (None, True),
        (b"", True),
        (b"somebody@example", False),
        (b'{"id":"somebody"}', False),
        (b"\xff\x00\x01", False),
    ],
)
def test_record_key_stays_if_it_is_an_id(key: bytes | None, kept: bool) -> None:
    shown = REDACTION.redacted(RecordedRecord("t", 0, 0, None, key, None)).key
    assert (shown == key) == kept
    assert len(shown or b"") == len(key or b"")
