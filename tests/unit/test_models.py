"""The models of activity rows: what they accept means the same to the reader, and what they refuse has a reason."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal, get_args
from uuid import UUID

import pytest
from builders import record
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import CALLEE, CALLER, UNAVAILABLE_VALUE, answer, heartbeat
from strategies import real_values

from projector.contract import fields, models
from projector.contract.envelope import Activity, open_value
from projector.contract.facts import (
    DEFAULT_DEADLINE,
    FAILED,
    Heartbeat,
    Reported,
    Requested,
    Status,
    Translation,
    Verdict,
)
from projector.contract.model_types import RowStatus
from projector.contract.models import DelegationRow, parse_row
from projector.contract.row_status import STATUS_OF_ROW
from projector.contract.translate import translate
from projector.contract.unreadable import Unreadable

EVENTS = Path(__file__).parents[2] / "events"
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def facts(value: bytes) -> Translation:
    translation = translate(record(value))
    assert isinstance(translation, Translation)
    return translation._replace(large_row_id=None)


def assert_read(row: DelegationRow, expected: Translation) -> None:
    """The reader finds these facts in all dumps of the row."""
    value, with_nulls = row.to_value(), row.model_dump_json().encode()
    assert facts(value) == facts(with_nulls) == facts(parse_row(value).to_value()) == expected


def test_schema_file_is_made_from_the_models() -> None:
    text = (EVENTS / "activity.schema.json").read_text(encoding="utf-8")
    assert text == models.schema_text(), "python -m projector.contract.models > events/activity.schema.json"


def test_statuses_are_those_of_the_reader() -> None:
    assert get_args(RowStatus) == tuple(STATUS_OF_ROW)


def test_code_on_the_page_makes_a_request() -> None:
    code = re.findall(r"```python\n(.*?)```", (EVENTS / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec("\n".join(code), names)
    assert facts(names["value"]).delegation_id == "d-1"


# --- what a model dumps

times = st.datetimes(
    datetime(1, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.builds(timezone, st.timedeltas(timedelta(hours=-14), timedelta(hours=14))),
)
texts = st.none() | st.text(st.characters(codec=None), max_size=9) | st.sampled_from(["\0\ud800", "é" * 3000])
ids = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=128)
uuids = st.uuids() | st.uuids().map(lambda value: str(value).upper())
statuses = st.sampled_from(get_args(RowStatus))
other_columns = st.dictionaries(
    st.sampled_from(["summary", "tool_trace", "duration_ms", "payload", "schema", "ts_ms", "op", "specversion"]),
    st.none() | st.integers() | st.floats() | ids | st.lists(st.booleans()) | st.dictionaries(ids, ids, max_size=2),
    max_size=2,
)
modest = settings(max_examples=60, deadline=None)


def reported(delegation_id: str, status: str, at: datetime, text: str | None, error: str | None) -> Reported:
    final = STATUS_OF_ROW[status]
    result = fields.preview(text, "text") if final is Status.COMPLETED else None
    return Reported(delegation_id, final, at, result, fields.preview(error, "error") if final in FAILED else None)


@modest
@given(ids, statuses, times, st.none() | times, uuids, st.none() | uuids, st.none() | ids, texts, texts, other_columns)
def test_delegate_is_read_as_it_was_meant(
    delegation_id: str,
    status: RowStatus,
    created_at: datetime,
    deadline: datetime | None,
    workspace_id: Any,
    source_id: Any,
    key: str | None,
    task: str | None,
    error: str | None,
    others: dict[str, Any],
) -> None:
    row = models.Delegate(
        status=status,
        workspace_id=workspace_id,
        source_id=source_id,
        target_id=CALLEE,
        request_body=models.RequestBody(delegation_id=delegation_id, task=task, deadline=deadline),
        error_detail=error,
        idempotency_key=key,
        created_at=created_at,
        **others,
    )
    caller = str(source_id or workspace_id).lower()
    preview = fields.preview(task, "task") or ""
    asked = Requested(
        delegation_id, caller, CALLEE, preview, key, deadline or created_at + DEFAULT_DEADLINE, created_at
    )
    assert_read(row, Translation(delegation_id, asked, reported(delegation_id, status, created_at, None, error)))


@modest
@given(ids, statuses, times, texts, texts, st.booleans(), other_columns)
def test_result_is_read_as_it_was_meant(
    delegation_id: str,
    status: RowStatus,
    created_at: datetime,
    text: str | None,
    error: str | None,
    in_request: bool,
    others: dict[str, Any],
) -> None:
    row = models.DelegateResult(
        status=status,
        request_body=models.ResultRequestBody(delegation_id=delegation_id if in_request else "another"),
        response_body=models.ResponseBody(delegation_id=None if in_request else delegation_id, text=text, error=error),
        created_at=created_at,
        **others,
    )
    assert_read(row, Translation(delegation_id, None, reported(delegation_id, status, created_at, text, error)))


@modest
@given(ids, times, other_columns)
def test_heartbeat_is_read_as_it_was_meant(delegation_id: str, created_at: datetime, others: dict[str, Any]) -> None:
    body = models.HeartbeatBody(delegation_id=delegation_id)
    row = models.Heartbeat(created_at=created_at, request_body=body, **others)
    assert_read(row, Translation(delegation_id, None, Heartbeat(delegation_id, created_at)))


@modest
@given(ids, st.sampled_from(["stuck", "failed"]), times, st.none() | times, texts, other_columns)
def test_verdict_is_read_as_it_was_meant(
    delegation_id: str,
    status: Literal["stuck", "failed"],
    created_at: datetime,
    silent_since: datetime | None,
    error: str | None,
    others: dict[str, Any],
) -> None:
    if status == "stuck":
        silent_since = silent_since or created_at
    body = models.VerdictBody(delegation_id=delegation_id, silent_since=silent_since)
    row = models.Verdict(status=status, created_at=created_at, request_body=body, error_detail=error, **others)
    preview = fields.preview(error, "error_detail")
    verdict = Verdict(delegation_id, Status(status), created_at, silent_since, preview)
    assert_read(row, Translation(delegation_id, None, verdict))


@pytest.mark.parametrize("microsecond", [0, 1, 500_000])
def test_evidence_is_always_written_with_six_decimals(microsecond: int) -> None:
    silent_since = datetime(2026, 1, 5, 14, 0, 0, microsecond, timezone(timedelta(hours=2)))
    body = models.VerdictBody(delegation_id="d-1", silent_since=silent_since)
    row = models.Verdict(status="stuck", created_at=NOON, request_body=body)
    for text in (row.to_value().decode(), row.model_dump_json(), body.model_dump_json()):
        assert f'"silent_since":"2026-01-05T12:00:00.{microsecond:06}Z"' in text
    assert body.silent_since == silent_since == parse_row(row.to_value()).model_dump()["request_body"]["silent_since"]


def test_real_rows_are_accepted_and_mean_the_same() -> None:
    accepted = 0
    for value in real_values():
        activity = open_value(json.dumps(value).encode())
        if not isinstance(activity, Activity) or UNAVAILABLE_VALUE in json.dumps(activity.row):
            continue
        row = json.dumps({name: column for name, column in activity.row.items() if name not in models.RESERVED_COLUMNS})
        try:
            meaning = translate(record(row.encode()))
        except Unreadable:
            continue
        if isinstance(meaning, Translation):
            assert facts(parse_row(row).to_value()) == meaning._replace(large_row_id=None)
            accepted += 1
    assert accepted > 50


# --- other forms that a model accepts


def test_uuid_object_and_text_are_the_same() -> None:
    uuids: list[Any] = [CALLER, UUID(CALLER)]
    for uuid in uuids:
        row = models.Heartbeat(workspace_id=uuid, created_at=NOON, request_body=models.HeartbeatBody(delegation_id="d"))
        assert row.workspace_id == CALLER


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-05T12:00:00Z", NOON),
        ("2026-01-05T14:00:00.000000+02:00", NOON),
        ("2026-01-05T12:00:00.1234567Z", NOON + timedelta(microseconds=123456)),
    ],
)
def test_time_is_kept_in_utc(text: str, instant: datetime) -> None:
    row = parse_row(json.dumps(heartbeat(0) | {"created_at": text}))
    assert (row.created_at, row.created_at.tzinfo) == (instant, UTC)


def test_body_may_be_json_text_and_is_dumped_as_json() -> None:
    row = parse_row(json.dumps(answer(0, "completed", text="t") | {"response_body": '{"delegation_id": "d-1"}'}))
    assert json.loads(row.to_value())["response_body"] == {"delegation_id": "d-1"}
