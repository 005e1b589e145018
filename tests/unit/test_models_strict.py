"""The models of activity rows refuse what the reader would drop, change or guess, and name the wrong field."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError
from rows import CALLEE, UNAVAILABLE_VALUE, answer, delegate, heartbeat, verdict

from projector.contract import models
from projector.contract.models import parse_row

EVIDENCE = {"delegation_id": "d-1", "silent_since": "2025-05-05T10:00:00.000000Z"}
REQUEST, RESULT, HEARTBEAT = delegate(0), answer(0, "completed"), heartbeat(0)
VERDICT = verdict(1, request_body=EVIDENCE)
NO_ID: list[Any] = [None, "", "d" * 513, "é" * 257, "\0", 7]
NO_TIME: list[Any] = [
    *(None, 1777975200123, "1777975200", "2026-01-05", "2026-01-05T12:00:00", "2026-01-05T12:00:00Z\n", "infinity"),
    *("2026-01-05T24:00:00Z", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+01:00", "٢٠٢٦-01-05T12:00:00Z"),
]
NO_UUID: list[Any] = [None, "", "x", 7, "{" + CALLEE + "}", CALLEE + "\n", CALLEE.replace("-", "")]
WRONG: list[tuple[dict[str, Any], str, list[Any]]] = [
    (REQUEST, "activity_type", [None, "tool_call"]),
    (REQUEST, "method", [None, "notify", 7]),
    (REQUEST, "status", [None, "", "done", "Completed", 7]),
    (REQUEST, "workspace_id", NO_UUID),
    (REQUEST, "target_id", NO_UUID),
    (REQUEST, "source_id", NO_UUID[1:]),
    (REQUEST, "created_at", NO_TIME),
    (REQUEST, "request_body", [None, [], "null", "{", "x", UNAVAILABLE_VALUE]),
    (REQUEST, "request_body.delegation_id", NO_ID),
    (REQUEST, "request_body.task", [7, ["t"]]),
    (REQUEST, "request_body.deadline", NO_TIME[1:]),
    (REQUEST, "error_detail", [7, UNAVAILABLE_VALUE]),
    (REQUEST, "idempotency_key", [*NO_ID[1:], UNAVAILABLE_VALUE]),
    (RESULT, "response_body.delegation_id", NO_ID),
    (RESULT, "response_body.text", [7]),
    (HEARTBEAT, "request_body.delegation_id", NO_ID),
    (VERDICT, "status", [None, "", "completed", "error", "timeout", 7]),
    (VERDICT, "request_body", [None, [], "null", "{", "x", UNAVAILABLE_VALUE]),
    (VERDICT, "request_body.delegation_id", NO_ID),
    (VERDICT, "request_body.silent_since", [*NO_TIME, "2026-01-05T12:00:00Z", "2026-01-05T12:00:00.123Z"]),
    (VERDICT, "request_body.silent_since", ["2026-01-05T12:00:00.1234567Z", "2026-01-05T12:00:00.123456"]),
    (VERDICT, "error_detail", [7, UNAVAILABLE_VALUE]),
    *((HEARTBEAT, name, ["c"]) for name in models.RESERVED_COLUMNS),
]


def replaced(row: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    column, _, key = path.partition(".")
    return row | {column: row[column] | {key: value} if key else value}


def assert_refused(row: dict[str, Any], field: str) -> None:
    """The one error names the field, in its path or in its text."""
    with pytest.raises(ValidationError) as refused:
        parse_row(json.dumps(row))
    [error] = refused.value.errors()
    path = ".".join(str(part) for part in error["loc"] if part != row.get("method"))
    assert field in path + error["msg"]


@pytest.mark.parametrize(
    ("row", "field", "value"), [(row, field, value) for row, field, values in WRONG for value in values]
)
def test_wrong_value_is_refused_with_its_field(row: dict[str, Any], field: str, value: Any) -> None:
    assert_refused(replaced(row, field, value), field)


@pytest.mark.parametrize("field", ["activity_type", "method", "status", "workspace_id", "target_id", "created_at"])
def test_missing_column_is_refused_with_its_name(field: str) -> None:
    assert_refused({name: value for name, value in REQUEST.items() if name != field}, field)


def test_evidence_is_required_with_stuck_only() -> None:
    assert_refused(replaced(VERDICT, "request_body.silent_since", None), "request_body.silent_since is missing")
    assert_refused(VERDICT | {"request_body": {"delegation_id": "d-1"}}, "request_body.silent_since is missing")
    parse_row(json.dumps(VERDICT | {"status": "failed", "request_body": {"delegation_id": "d-1"}}))


def test_columns_named_like_other_markers_are_accepted() -> None:
    row = parse_row(json.dumps(HEARTBEAT | {"op": "c", "specversion": "1.0"}))
    assert json.loads(row.to_value()) == HEARTBEAT | {
        "op": "c",
        "specversion": "1.0",
        "created_at": "2025-05-05T10:00:00Z",
    }


def test_deadline_is_required_at_the_end_of_time() -> None:
    assert_refused(REQUEST | {"created_at": "9999-12-31T18:00:00Z"}, "request_body.deadline")
    parse_row(json.dumps(REQUEST | {"created_at": "9999-12-31T17:59:59Z"}))


@pytest.mark.parametrize("surrogate", ["\ud800", ["\udfff"], {"\ud800": 1}])
def test_lone_surrogate_in_another_column_is_refused(surrogate: Any) -> None:
    with pytest.raises(ValidationError, match="surrogates not allowed"):
        models.Heartbeat(
            created_at=datetime.now(UTC), request_body=models.HeartbeatBody(delegation_id="d"), summary=surrogate
        )


def test_lone_surrogate_in_an_id_is_refused() -> None:
    with pytest.raises(ValidationError, match="raw data as a unicode string"):
        models.HeartbeatBody(delegation_id="\ud800")
