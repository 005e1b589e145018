"""Redaction: no free text stays readable, and each record ends in the same outcome as before."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from builders import InMemoryView, outcomes_of, record
from hypothesis import example, given, settings
from hypothesis import strategies as st
from recorded import RECORDINGS
from rows import CALLEE, CALLER, UNAVAILABLE_VALUE, Columns, answer, delegate, heartbeat, updated
from strategies import real_values, tampered, texts, values, written

from projector.contract import strict_json
from projector.contract.unreadable import Unreadable
from projector.domain.outcomes import Outcome
from projector.recordings.file import RecordedRecord, dumps, read_recording
from projector.recordings.redaction import Redaction

SAFE = ("created_at", "deadline", "activity_type", "method", "status")
MANY = settings(max_examples=300, deadline=None)
REDACTION = Redaction(b"the key of these tests")
SECRET = 'Zwei Geheimnisse: \u00e4\u4e2d\U0001f600 and "pear"\n'
SECRET_PARTS = ("Zwei", "Geheimnis", "\u00e4\u4e2d", "u4e2d", "\U0001f600", "pear")
WHOLE_PREVIEW = 4093
"""The fewest bytes of a preview that was cut: a character of four bytes is not cut inside."""


def redacted_bytes(content: bytes) -> bytes:
    redacted = REDACTION.redacted(record(content)).value
    assert redacted is not None
    return redacted


def redacted(value: object) -> Any:
    """A value as it is redacted, parsed again."""
    return strict_json.loads(redacted_bytes(written(value)))


def endings(records: Sequence[RecordedRecord]) -> list[tuple[Any, ...]]:
    """For each record its outcome, the field of its dead letter, and all state after it that a rule reads."""
    memory, found = InMemoryView(), list[tuple[Any, ...]]()
    for each in records:
        outcomes = memory.project([each])
        dead = [letter.field for letter in memory.dead_letters]
        found.append((outcomes, dead, sorted(memory.large_rows.items()), sorted(memory.parked), rows(memory)))
        memory.dead_letters.clear()
    return found


def rows(memory: InMemoryView) -> list[tuple[Any, ...]]:
    """The rows with the sizes of their previews; the outcomes show which idempotency keys are equal."""
    previews = ("task_preview", "result_preview", "error_detail")
    return [
        tuple(
            min(len(content.encode()), WHOLE_PREVIEW) if content and name in previews else content
            for name, content in row._replace(idempotency_key=None)._asdict().items()
        )
        for row in memory.rows.values()
    ]


def assert_same_endings(values: Sequence[object]) -> None:
    records = [record(value, offset) for offset, value in enumerate(values)]
    assert endings([REDACTION.redacted(each) for each in records]) == endings(records)


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

    def is_large(size: int, redact: Callable[[bytes], bytes] = lambda content: content) -> bool:
        row = delegate(0, id=CALLEE, summary="x" * size, **columns(text))
        [(outcomes, _, large_rows, _, _)] = endings([record(redact(written(row)))])
        assert outcomes == [Outcome.INSERTED]
        return bool(large_rows)

    least, most = 0, 1500
    while least < most:
        size = (least + most) // 2
        least, most = (least, size) if is_large(size) else (size + 1, most)
    for size in {least, max(least - 1, 0)}:
        assert is_large(size, redacted_bytes) == is_large(size)


@st.composite
def with_a_secret(draw: st.DrawFn) -> Any:
    """A real value with a secret in place of a text, or as the name of a field, at any depth."""
    value = json.loads(json.dumps(draw(st.sampled_from(real_values()))))
    within, field = value, draw(st.sampled_from(sorted(value)))
    while isinstance(within[field], dict) and within[field] and draw(st.booleans()):
        within = within[field]
        field = draw(st.sampled_from(sorted(within)))
    inside = draw(st.sampled_from([SECRET, [SECRET], {SECRET: 1}, {"text": {"a": [SECRET]}}, {"task": SECRET}]))
    within[field] = draw(st.sampled_from([inside, json.dumps(inside), json.dumps(inside, ensure_ascii=False)]))
    if draw(st.booleans()):
        within[SECRET] = {"status": SECRET}
    return value


@MANY
@given(with_a_secret(), st.booleans())
def test_secret_is_gone_wherever_it_stood(value: Any, ascii_only: bool) -> None:
    content = written(value, ascii_only=ascii_only)
    line = REDACTION.redacted(RecordedRecord("t", 0, 0, None, content, content))
    for each in (line.value, line.key):
        assert each is not None
        shown = each.decode() + json.dumps(json.loads(each), ensure_ascii=False)
        assert [part for part in SECRET_PARTS if part in shown] == []


def test_secret_under_a_repeated_name_is_gone() -> None:
    text = written(heartbeat(0)).replace(b'"heartbeat"', b'"%b", "method": "heartbeat"' % SECRET[:4].encode())
    assert strict_json.loads(text) == heartbeat(0)
    assert SECRET[:4].encode() not in redacted_bytes(text)


def test_names_in_unknown_columns_are_replaced() -> None:
    row = {"activity_type": "x", "payload": {"Anna": 1}, "after": {"Anna": "Anna"}, "data": '{"Anna": 1}'}
    assert "Anna" not in json.dumps(redacted(row))
    assert "Anna" in json.dumps(redacted({"schema": {}, "payload": {"activity_type": "x", "Anna": 1}}))  # a column


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


def test_idempotency_keys_equal_in_postgres_stay_equal() -> None:
    texts = [
        f'{{"activity_type": "delegation", "idempotency_key": "k{bad}9"}}' for bad in (r"\u0000", r"\ud800", r"\ufffd")
    ]
    assert len({redacted_bytes(text.encode()) for text in texts}) == 1


@pytest.mark.parametrize("key", ["k" * 512, "k" * 513, "\u00e4" * 256, "\u00e4" * 256 + "k", "\x00" * 170 + "kk"])
def test_idempotency_key_stays_on_its_side_of_the_limit(key: str) -> None:
    row = delegate(0, idempotency_key=key)
    ended = outcomes_of(record(row))
    assert outcomes_of(REDACTION.redacted(record(row))) == ended
    assert (ended == [Outcome.DEAD_LETTER]) == (len(key.replace("\x00", "\ufffd").encode()) > 512)


@pytest.mark.parametrize("value", [b"no json", b"\xff\xfe", b"", b"[" * 600, b"x"])
def test_unreadable_value_stays_unreadable(value: bytes) -> None:
    shown = redacted_bytes(value)
    assert (len(shown), shown == value, _is_utf8(shown)) == (len(value), value == b"", _is_utf8(value))
    with pytest.raises(Unreadable):
        strict_json.loads(shown)


def _is_utf8(content: bytes) -> bool:
    return content.decode(errors="ignore").encode() == content


@pytest.mark.parametrize(("start", "end"), [(b"[", b"]"), (b'{"a": ', b"}"), (b'[{"payload": ', b"}]")])
def test_deepest_value_is_redacted(start: bytes, end: bytes) -> None:
    levels = 500 // (start.count(b"[") + start.count(b"{"))
    deep = start * levels + b'"pear"' + end * levels
    assert b"pear" not in redacted_bytes(deep)
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


@pytest.mark.parametrize("number", ["1.0", "-0", "1e400", "-1e400", "1e-400", "12345678901234567890123", "9" * 4200])
def test_numbers_stay_as_the_parser_reads_them(number: str) -> None:
    text = f'{{"activity_type": "x", "Infinity": {number}, "request_body": "[{number}, \\"Infinity\\"]"}}'
    before: Any = strict_json.loads(text)
    after = strict_json.loads(redacted_bytes(text.encode()))
    assert isinstance(after, dict)
    assert repr(after["Infinity"]) == repr(before["Infinity"])
    assert repr(json.loads(after["request_body"])[0]) == repr(before["Infinity"])


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
