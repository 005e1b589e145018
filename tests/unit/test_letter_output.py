"""One dead letter for people: its JSON with one line per field, and the wrong field marked."""

import json
from typing import Any

import pytest
from rows import delegate

from projector.cli.letter_output import marked


def lines(content: object, field: str | None) -> list[str]:
    """The marked lines, without their indent."""
    shown = marked(content if isinstance(content, bytes) else json.dumps(content).encode(), field) or []
    return [line.removeprefix(">").strip() for line in shown if line.startswith(">")]


ROW: Any = delegate(0, request_body={"delegation_id": "d-1", "status": "no", "deadline": "never"})
TEXT = json.dumps({"deadline": 1})


@pytest.mark.parametrize(
    ("content", "field", "expected"),
    [
        (ROW, "request_body.deadline", ['"deadline": "never"']),
        (ROW, "status", ['"status": "pending",']),
        ({"op": "c", "before": ROW, "after": ROW}, "request_body.deadline", ['"deadline": "never"']),
        ({"payload": {"op": "c", "after": ROW}}, "status", ['"status": "pending",']),
        ({"request_body": {}}, "request_body.delegation_id", ['"request_body": {}']),
        ({"request_body": TEXT}, "request_body.deadline", [f'"request_body": {json.dumps(TEXT)}']),
        ({"data": [{"a": 1}]}, "data", ['"data": [']),
        (ROW, "summary", []),
        (ROW, None, []),
        ([1, 2], "status", []),
    ],
)
def test_wrong_field_is_marked(content: object, field: str | None, expected: list[str]) -> None:
    assert lines(content, field) == expected


def test_value_is_shown_as_it_came() -> None:
    value = b'{"a": 1.0, "a": 1e400, "b": NaN, "c": [], "d": {}, "e": [12345678901234567890, "\xc3\xa9\\u001b"]}'
    shown = marked(value, None)
    assert shown is not None
    assert "".join(line.strip() for line in shown) == (
        '{"a": 1.0,"a": 1e400,"b": NaN,"c": [],"d": {},"e": [12345678901234567890,"é\\u001b"]}'
    )


@pytest.mark.parametrize("value", [b"no json", b"\xff", b"", b"[" * 100_000])
def test_value_that_is_no_json_has_no_lines(value: bytes) -> None:
    assert marked(value, "status") is None
