"""Redaction: nothing that was written can be read, and each record ends as it did."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from builders import Memory, record
from hypothesis import example, given, settings
from hypothesis import strategies as st
from recorded import RECORDINGS
from rows import CALLEE, CALLER, LEFT_OUT, answer, beat, delegate, updated
from strategies import real_values, tampered, values, written

from projector.contract import strict_json
from projector.contract.unreadable import Unreadable
from projector.recordings.file import RecordedRecord, dumps, read_recording
from projector.recordings.redaction import Redaction

SAFE = ("created_at", "deadline", "activity_type", "method", "status")
MANY = settings(max_examples=300, deadline=None)
REDACTION = Redaction(b"the key of these tests")
SECRET = 'Zwei Geheimnisse: \u00e4\u4e2d\U0001f600 and "pear"\n'


def redacted(value: object) -> Any:
    """A value as it is redacted, parsed again."""
    redacted = REDACTION.redacted(record(value)).value
    assert redacted is not None
    return json.loads(redacted)


def ends(records: Sequence[RecordedRecord]) -> list[tuple[Any, ...]]:
    """How each record ends, at which field if it is dead, and what of the rows any rule sees."""
    memory, found = Memory(), list[tuple[Any, ...]]()
    for each in records:
        outcomes = memory.project([each])
        died = [letter.field for letter in memory.dead_letters]
        found.append((outcomes, died, sorted(memory.large_rows.items()), sorted(memory.parked), rows(memory)))
        memory.dead_letters.clear()
    return found


def rows(memory: Memory) -> list[tuple[Any, ...]]:
    texts = ("task_preview", "result_preview", "error_detail", "idempotency_key")
    return [
        tuple(text and len(text.encode()) if name in texts else text for name, text in row._asdict().items())
        for row in memory.rows.values()
    ]


def assert_ends_as_before(values: Sequence[object]) -> None:
    records = [record(value, offset) for offset, value in enumerate(values)]
    instead = [REDACTION.redacted(each) for each in records]
    assert [len(each.value or b"") for each in instead] == [len(each.value or b"") for each in records]
    assert ends(instead) == ends(records)


def free_texts(value: Any, name: str = "") -> list[str]:
    """Texts of a parsed value, those within texts of JSON too, under names that mean no id and no time."""
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
def test_recorded_feed_ends_as_it_did_and_no_free_text_of_it_is_left(path: Any) -> None:
    records = list(read_recording(path))
    instead = [REDACTION.redacted(each) for each in records]
    assert ends(instead) == ends(records)
    assert [each._replace(key=None, value=None) for each in instead] == [
        each._replace(key=None, value=None) for each in records
    ]
    values = [json.loads(each.value) for each in records if each.value]
    bodies = [value.get("payload") or value if isinstance(value, dict) else value for value in values]
    texts = {text for text in free_texts(bodies) if len(text) > 8} - {LEFT_OUT, "-infinity"}  # a time too
    assert len(texts) > 10
    held = b"".join(dumps(each) for each in instead).decode()
    held += json.dumps([json.loads(each.value) for each in instead if each.value], ensure_ascii=False)
    assert [text for text in texts if text in held] == []


@MANY
@given(st.lists(tampered(), max_size=4), st.booleans())
@example([delegate(0, status="Pending")], True)
@example([delegate(0, request_body='"\\x"')], True)
@example([delegate(0, request_body="null"), delegate(0, request_body="nul")], True)
@example([{"op": "x", "after": delegate(0)}, {"op": 5, "after": delegate(0)}], True)
@example([delegate(0, created_at="2025-13-99"), delegate(0, created_at="infinity")], True)
@example([{"a" * 5: 1, "activity_type": "x", "b b": 2, "c c": 3}], True)
def test_real_record_that_was_tampered_with_ends_as_it_did(found: list[Any], ascii_only: bool) -> None:
    assert_ends_as_before([written(value, ascii_only=ascii_only) for value in found])


@pytest.mark.parametrize("op", [*"ABCDEFGHX!? 5", "\u00e9", "c ", "R"])
def test_word_that_meant_nothing_never_comes_to_mean_something(op: str) -> None:
    assert_ends_as_before([{"op": op, "after": delegate(0), "before": delegate(0)}, delegate(0) | {"__op": op}])


def test_cloud_event_ends_as_it_did_and_so_do_times_of_any_form() -> None:
    event = {"specversion": "1.0", "id": "no uuid", "type": "com.example.activity", "time": "20250505T100000,5Z"}
    asked = delegate(
        0, created_at="20250505T1000", request_body={"delegation_id": "d-1", "task": "x", "deadline": "2025-W30-1"}
    )
    assert_ends_as_before(
        [event | {"data": asked}, event | {"data": answer(1, "completed", text="y")}, event | {"data": 5}]
    )
    assert redacted(event | {"data": asked})["type"] != event["type"]


@MANY
@given(st.lists(values.map(written) | st.binary(max_size=20), max_size=6))
@example(
    [b"", b"[" * 600, b"\xff", b'"\xed\xa0\x80"', b"nul", b"1e400", b'{"activity_type": "\\u0000\\/\\ud83d\\ude00"}']
)
def test_any_record_at_all_ends_as_it_did(found: list[bytes]) -> None:
    assert_ends_as_before(found)


@st.composite
def with_a_secret(draw: st.DrawFn) -> Any:
    """A real value with a secret in place of a text, or as the name of something, at any depth."""
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
    assert line.value is not None
    assert line.key is not None
    for each in (line.value.decode(), line.key.decode()):
        shown = each + json.dumps(json.loads(each), ensure_ascii=False)
        assert [
            word for word in ("Zwei", "Geheimnis", "\u00e4\u4e2d", "u4e2d", "\U0001f600", "pear") if word in shown
        ] == []


def test_ids_times_numbers_and_the_words_that_tell_records_apart_stay() -> None:
    row = delegate(0, id=CALLEE, source_id=CALLER, duration_ms=5, tool_trace=[1.5, None, True], summary=SECRET)
    shown = redacted(updated(row, 3))
    assert shown.pop("op") == "u"
    assert shown["source"] == updated(row, 3)["source"]
    assert {name for name, content in row.items() if shown["after"][name] != content} == {"summary", "request_body"}
    assert shown["after"]["request_body"]["delegation_id"] == "d-1"
    assert redacted(beat(0)) == beat(0)


def test_body_that_is_a_text_of_json_stays_one_of_as_many_bytes() -> None:
    body = json.dumps({"delegation_id": "d-1", "task": SECRET, "deadline": "2025-05-06", SECRET: {"n": [1.0, SECRET]}})
    shown = redacted(delegate(0, request_body=body, tool_trace=body))
    assert len(shown["request_body"]) == len(body)
    inner = json.loads(shown["request_body"])
    assert (inner["delegation_id"], inner["deadline"]) == ("d-1", "2025-05-06")
    assert len(inner["task"].encode()) == len(SECRET.encode())
    assert [type(each) for each in json.loads(shown["tool_trace"]).values()] == [str, str, str, dict]
    assert "d-1" not in shown["tool_trace"]


def test_left_out_column_and_empty_text_stay() -> None:
    row = delegate(0, request_body=LEFT_OUT, error_detail="", summary=LEFT_OUT, extra="")
    assert redacted(row) == row


@pytest.mark.parametrize("size", [1, 2, 40])
def test_idempotency_keys_that_differ_still_do(size: int) -> None:
    keys = [chr(code) * size for code in range(1, 1200)] + ["x" * (size - 1) + chr(code) for code in range(32, 127)]
    shown = {key: redacted(delegate(0, idempotency_key=key))["idempotency_key"] for key in keys}
    assert len(set(shown.values())) == len(shown)
    assert [len(each.encode()) for each in shown.values()] == [len(key.encode()) for key in shown]
    assert sum(key == each for key, each in shown.items()) < 60  # those of control characters alone, and of chance


def test_idempotency_keys_that_postgres_cannot_tell_apart_still_are_one() -> None:
    texts = [
        f'{{"activity_type": "delegation", "idempotency_key": "k{bad}9"}}' for bad in (r"\u0000", r"\ud800", r"\ufffd")
    ]
    shown = {(key[0] + key[2]) for key in (redacted(text.encode())["idempotency_key"] for text in texts)}
    assert len(shown) == 1
    assert shown != {"k9"}


@pytest.mark.parametrize("value", [b"no json", b"\xff\xfe", b"", b"[" * 600, b"x"])
def test_value_that_cannot_be_read_still_cannot_and_is_of_as_many_bytes(value: bytes) -> None:
    shown = REDACTION.redacted(record(value)).value
    assert shown is not None
    assert (len(shown), shown == value, _is_utf8(shown)) == (len(value), value == b"", _is_utf8(value))
    with pytest.raises(Unreadable):
        strict_json.loads(shown)


def _is_utf8(content: bytes) -> bool:
    return content.decode(errors="ignore").encode() == content


def test_names_that_differ_still_do_and_never_become_one_that_means_something() -> None:
    names = [f"{first}{second}" for first in "abc -_.#" for second in "xyz !?1"]
    shown = redacted({"activity_type": "x", "request_body": dict.fromkeys(names, 1), **dict.fromkeys(names, 1)})
    assert len(shown["request_body"]) == len(names)
    assert len(shown) == len({*names, "activity_type", "request_body"})
    assert "ax" in shown  # a column's name stays
    assert [name for name in shown if name.isidentifier() and name not in names] == ["activity_type", "request_body"]
    assert not {"ax", "by", "az"} & set(shown["request_body"])
    assert "summary" not in redacted({"activity_type": "x", "extra": {"summary": 1}})["extra"]


def test_same_text_is_the_same_pseudonym_under_the_same_key_alone() -> None:
    row = answer(0, "failed", error="what a pity", error_detail="what a pity")
    shown = redacted(row)
    assert shown["error_detail"] == shown["response_body"]["error"] != "what a pity"
    assert Redaction(b"the key of these tests").redacted(record(row)) == REDACTION.redacted(record(row))
    assert Redaction(b"another key").redacted(record(row)) != REDACTION.redacted(record(row))


def test_numbers_spaces_escapes_and_repeated_names_stay_as_they_were_written() -> None:
    text = '{ "n" : 1.0,\t"n":1e400, "activity_type":"x", "s":"\\u00e4\\/\\n\\ud83d\\ude00\\"" }'
    shown = REDACTION.redacted(record(text.encode())).value
    assert shown is not None
    was, now = text.index('"s":'), shown.index(b'"s":')
    assert (was, shown[:now].decode()) == (now, text[:was])
    pattern = r'"s":"\\u04[0-9a-f]{2}\\/\\n\\u[0-9a-f]{4}\\u[0-9a-f]{4}\\\\" }'
    assert re.fullmatch(pattern, shown[now:].decode())


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        (CALLER.encode(), True),
        (CALLER.upper().encode(), True),
        (b'{"id": "%b"}' % CALLER.encode(), True),
        (b'{"schema": null, "payload": {"workspace_id": "%b"}}' % CALLER.encode(), True),
        (None, True),
        (b"", True),
        (b"somebody@example", False),
        (b'{"id": "somebody"}', False),
        (b"\xff\x00\x01", False),
    ],
)
def test_key_of_a_record_stays_where_it_is_an_id(key: bytes | None, kept: bool) -> None:
    shown = REDACTION.redacted(RecordedRecord("t", 0, 0, None, key, None)).key
    assert (shown == key) == kept
    assert len(shown or b"") == len(key or b"")
