"""Wrappings: each is taken off once, in its order; a second layer is a dead letter (events/README.md, section 1)."""

import base64
import json

import pytest
from builders import dead_letter_of, outcome_of, request_of
from rows import delegate

from projector.domain.outcomes import Outcome

ROW = delegate(0)
TEXT = json.dumps(ROW)
HEAD = b"\x00\x00\x00\x01\x02"
CHANGE = {"op": "c", "after": ROW}
OTHER_TABLE = {"id": 7, "email": "x"}


def event(**attributes: object) -> dict[str, object]:
    return {"specversion": "1.0", **attributes}


def encoded(content: str) -> str:
    return base64.b64encode(content.encode()).decode()


@pytest.mark.parametrize(
    "value",
    [
        HEAD + TEXT.encode(),
        b"\x00{{{{" + TEXT.encode(),
        HEAD + json.dumps(CHANGE).encode(),
        TEXT,
        json.dumps(CHANGE),
        json.dumps({"schema": {}, "payload": CHANGE}),
        json.dumps(event(data=TEXT)),
        event(data=TEXT),
        event(data_base64=encoded(TEXT)),
        event(data=None, data_base64=encoded(TEXT)),
        HEAD + json.dumps(event(data=TEXT)).encode(),
        event(data=ROW, data_base64="not looked at"),
    ],
)
def test_wrapping_is_taken_off(value: object) -> None:
    assert request_of(value).delegation_id == "d-1"


@pytest.mark.parametrize("value", ["null", " null "])
def test_text_that_holds_null_is_a_tombstone(value: str) -> None:
    assert outcome_of(value) is Outcome.TOMBSTONE


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (json.dumps(TEXT), None),
        (HEAD + HEAD + TEXT.encode(), None),
        (HEAD + json.dumps(TEXT).encode(), None),
        (HEAD + b" " + TEXT.encode(), None),
        (HEAD[:-1] + TEXT.encode(), None),
        (b"\x01" + HEAD[1:] + TEXT.encode(), None),
        (HEAD, None),
        ("hello", None),
        ("[]", None),
        (b"\xef\xbb\xbf" + TEXT.encode(), None),
        ("\ufeff" + TEXT, None),
        (event(data="\ufeff" + TEXT), "data"),
        (event(data=json.dumps(TEXT)), "data"),
        (event(data="hello"), "data"),
        (event(data=""), "data"),
        (event(data="null"), "data"),
        (event(data=None), "data"),
        (event(), "data"),
        (event(data_base64=encoded(json.dumps(TEXT))), "data"),
        (event(data_base64=encoded("hello")), "data_base64"),
        (event(data_base64=encoded(TEXT) + "!"), "data_base64"),
        (event(data_base64="é"), "data_base64"),
        (event(data_base64=7), "data_base64"),
        ({"schema": {}, "payload": TEXT}, "payload"),
        (event(data={"before": None, "after": ROW, "op": "c"}), "data"),
        (event(data={"schema": {}, "payload": {"before": None, "after": ROW}}), "data"),
    ],
)
def test_what_is_no_single_wrapping_is_a_dead_letter(value: object, field: str | None) -> None:
    assert dead_letter_of(value)[0] == field


def test_change_event_in_a_cloud_event_is_named() -> None:
    assert "Debezium's CloudEvents converter" in dead_letter_of(event(data={"before": None, "after": ROW}))[1]


@pytest.mark.parametrize("op", ["c", "r", "u"])
def test_row_of_another_table_is_unrelated(op: str) -> None:
    change = {"op": op, "after": OTHER_TABLE, "source": {"table": "users", "ts_ms": "garbage"}}
    for value in (change, {"schema": {}, "payload": change}, json.dumps(change)):
        assert outcome_of(value) is Outcome.UNRELATED


@pytest.mark.parametrize("source", [None, {}, {"table": None}, {"table": 7}, {"table": "activity_logs"}])
def test_row_without_a_type_of_no_other_table_is_a_dead_letter(source: object) -> None:
    assert dead_letter_of({"op": "c", "after": OTHER_TABLE, "source": source})[0] == "activity_type"


def test_table_is_not_looked_at_if_the_row_has_a_type() -> None:
    assert outcome_of({"op": "c", "after": ROW, "source": {"table": "users"}}) is Outcome.INSERTED
    assert outcome_of({"op": "d", "after": None, "source": "garbage"}) is Outcome.TOMBSTONE
    assert dead_letter_of({"op": "c", "after": None, "source": {"table": "users"}})[0] == "after"
