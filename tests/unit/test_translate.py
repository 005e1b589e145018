"""What a row means: the column of each value, and the columns that no rule uses.

events/README.md, section 3, has the rules.
"""

import json
from datetime import timedelta
from typing import Any

import pytest
from builders import at, dead_letter_of, outcome_of, report_of, request_of, translation_of
from rows import CALLEE, CALLER, UNAVAILABLE_VALUE, answer, delegate, heartbeat

from projector.contract.facts import FAILED, Heartbeat, Reported, Requested, Status, Translation
from projector.contract.row_status import STATUS_OF_ROW
from projector.domain.outcomes import Outcome

OTHER = "c3c3c3c3-0000-4000-8000-000000000003"
# The table of events/README.md, section 3, copied by hand.
STATUSES = {
    "queued": "pending queued",
    "dispatched": "dispatched",
    "in_progress": "received delivered in_progress",
    "completed": "completed",
    "failed": "failed error timeout",
    "stuck": "stuck",
}
WRONG_STATUSES: list[Any] = [None, "", "done", "Completed", "completed ", 0, True, [], {}, ["failed"], "\ud800"]
GARBAGE: list[Any] = [7, "garbage", "{", [], {"a": 1}, "\x00\ud800", True, "x" * 600]


def test_statuses_are_those_of_the_contract() -> None:
    by_name = {name: Status(status) for status, names in STATUSES.items() for name in names.split()}
    assert by_name == STATUS_OF_ROW


@pytest.mark.parametrize("name", STATUS_OF_ROW)
def test_status_is_read_for_both_methods(name: str) -> None:
    assert report_of(delegate(0, name)).status is STATUS_OF_ROW[name]
    assert report_of(answer(0, name)).status is STATUS_OF_ROW[name]


@pytest.mark.parametrize("status", WRONG_STATUSES)
def test_unknown_status_is_reported_before_other_errors(status: object) -> None:
    assert dead_letter_of(delegate(0, request_body="{", source_id=7, created_at=7) | {"status": status})[0] == "status"
    assert dead_letter_of(answer(0, "failed", response_body="{") | {"status": status})[0] == "status"
    assert dead_letter_of(answer(0, "failed", response_body=None) | {"status": status})[0] == "status"
    assert outcome_of(heartbeat(0) | {"status": status}) is Outcome.PARKED


@pytest.mark.parametrize("method", [None, "", "Delegate", "delegate ", 7, [], {}, ["delegate"]])
def test_unknown_method_is_a_dead_letter(method: object) -> None:
    assert dead_letter_of(delegate(0) | {"method": method})[0] == "method"


@pytest.mark.parametrize("activity_type", ["agent_log", "a2a_receive", "", "Delegation", "delegation\x00"])
def test_other_activity_is_unrelated_with_any_content(activity_type: str) -> None:
    row = answer(0, "completed", text="copy") | {"activity_type": activity_type}
    assert outcome_of(row) is Outcome.UNRELATED
    odd = {"method": [], "status": 7, "request_body": "{", "created_at": "infinity"}
    assert outcome_of(row | odd) is Outcome.UNRELATED


# --- delegate


def test_delegate_is_a_request_and_a_status() -> None:
    row = delegate(3, "failed", source_id=OTHER.upper(), error_detail="broke", idempotency_key="k")
    assert translation_of(row) == Translation(
        "d-1",
        Requested("d-1", OTHER, CALLEE, "count to three", "k", at(3) + timedelta(hours=6), at(3)),
        Reported("d-1", Status.FAILED, at(3), None, "broke"),
    )


def test_caller_is_the_source_or_the_workspace() -> None:
    assert request_of(delegate(0, source_id=OTHER, workspace_id="garbage")).caller_id == OTHER
    assert request_of(delegate(0, source_id=None)).caller_id == CALLER


def test_deadline_defaults_to_six_hours_after_creation() -> None:
    body = {"delegation_id": "d-1", "deadline": "2025-05-05T14:00:00+02:00"}
    assert request_of(delegate(0, request_body=body)).deadline == at(120)
    assert request_of(delegate(0, request_body=body | {"deadline": None})).deadline == at(360)


@pytest.mark.parametrize("nothing", [None, ""])
def test_empty_text_is_the_same_as_none(nothing: str | None) -> None:
    row = delegate(0, "failed", idempotency_key=nothing, error_detail=nothing, response_body={"error": nothing})
    row["request_body"] = {"delegation_id": "d-1", "task": nothing}
    request, report = request_of(row), report_of(row)
    assert (request.task_preview, request.idempotency_key, report.error_detail) == ("", None, None)
    assert report_of(answer(0, "completed", text=nothing)).result_preview is None


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ({"request_body": None}, "request_body.delegation_id"),
        ({"request_body": []}, "request_body.delegation_id"),
        ({"request_body": "null"}, "request_body.delegation_id"),
        ({"request_body": {"delegation_id": ""}}, "request_body.delegation_id"),
        ({"request_body": {"delegation_id": 7}}, "request_body.delegation_id"),
        ({"request_body": {"delegation_id": "d" * 513}}, "request_body.delegation_id"),
        ({"request_body": {"delegation_id": "d", "task": 7}}, "request_body.task"),
        ({"request_body": {"delegation_id": "d", "deadline": 7}}, "request_body.deadline"),
        ({"request_body": {"delegation_id": "d", "deadline": ""}}, "request_body.deadline"),
        ({"request_body": {"delegation_id": "d", "deadline": "infinity"}}, "request_body.deadline"),
        ({"request_body": "{"}, "request_body"),
        ({"request_body": ""}, "request_body"),
        ({"workspace_id": None}, "workspace_id"),
        ({"workspace_id": "x"}, "workspace_id"),
        ({"source_id": ""}, "source_id"),
        ({"source_id": "x"}, "source_id"),
        ({"target_id": None}, "target_id"),
        ({"target_id": 7}, "target_id"),
        ({"idempotency_key": 7}, "idempotency_key"),
        ({"idempotency_key": "k" * 513}, "idempotency_key"),
        ({"created_at": "yesterday"}, "created_at"),
        ({"created_at": None}, "created_at"),
        ({"created_at": "9999-12-31T18:00:00Z"}, "created_at"),
        ({"status": "completed", "response_body": "{"}, "response_body"),
        ({"status": "completed", "response_body": {"text": 7}}, "response_body.text"),
        ({"status": "failed", "error_detail": 7}, "error_detail"),
        ({"status": "stuck", "response_body": {"error": 7}}, "response_body.error"),
    ],
)
def test_malformed_delegate_names_the_wrong_field(columns: dict[str, object], field: str) -> None:
    assert dead_letter_of(delegate(0) | columns)[0] == field


def test_default_deadline_in_the_last_year_is_accepted() -> None:
    assert request_of(delegate(0, created_at="9999-12-31T17:59:59Z")).deadline.year == 9999


# --- delegate_result


def test_result_takes_the_id_of_response_before_request() -> None:
    both = answer(0, "failed", of="d-1", request_body={"delegation_id": "d-2"})
    assert translation_of(both).delegation_id == "d-1"
    assert translation_of(both | {"response_body": {"delegation_id": "", "error": "e"}}).delegation_id == "d-2"
    assert translation_of(both | {"response_body": None}).delegation_id == "d-2"
    assert translation_of(both).request is None


@pytest.mark.parametrize("body", [None, "null", [], "[]", {}, {"delegation_id": None}, {"delegation_id": ""}])
def test_row_without_a_delegation_id_is_uncorrelated(body: object) -> None:
    assert outcome_of(answer(0, "queued", response_body=body, request_body=body)) is Outcome.UNCORRELATED
    assert outcome_of(heartbeat(0) | {"request_body": body}) is Outcome.UNCORRELATED


def test_uncorrelated_row_is_not_validated_further() -> None:
    row = answer(0, "failed", response_body=None)
    assert outcome_of(row | {"created_at": "infinity", "error_detail": 7}) is Outcome.UNCORRELATED


def test_text_needs_completed_and_error_needs_failed() -> None:
    texts = {"text": "text", "error": "error"}
    for name, status in STATUS_OF_ROW.items():
        bare, detailed = report_of(answer(0, name, **texts)), report_of(answer(0, name, **texts, error_detail="detail"))
        assert bare.result_preview == detailed.result_preview == ("text" if status is Status.COMPLETED else None)
        assert bare.error_detail == ("error" if status in FAILED else None)
        assert detailed.error_detail == ("detail" if status in FAILED else None)


# --- heartbeat


def test_heartbeat_takes_the_id_of_its_request_only() -> None:
    assert translation_of(heartbeat(4)) == Translation("d-1", None, Heartbeat("d-1", at(4)))
    assert (
        outcome_of(heartbeat(4) | {"request_body": None, "response_body": {"delegation_id": "d-1"}}) == "uncorrelated"
    )


# --- only what a rule uses


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize(
    ("row", "unused"),
    [
        (delegate(0), "id summary duration_ms tool_trace response_body error_detail"),
        (delegate(0, source_id=OTHER), "workspace_id"),
        (delegate(0, "failed", error_detail="e"), "response_body"),
        (
            answer(0, "completed"),
            "id workspace_id source_id target_id idempotency_key request_body error_detail",
        ),
        (answer(0, "in_progress"), "error_detail request_body"),
        (heartbeat(0), "id workspace_id source_id target_id status response_body error_detail idempotency_key"),
    ],
)
def test_unused_column_may_hold_anything(row: dict[str, object], unused: str, garbage: object) -> None:
    for column in unused.split():  # the id of an end's row is kept as it came
        assert translation_of(row | {column: garbage})._replace(row_id=None) == translation_of(row)._replace(
            row_id=None
        )


@pytest.mark.parametrize("garbage", GARBAGE)
def test_unused_key_of_a_body_may_hold_anything(garbage: object) -> None:
    body = {"delegation_id": "d-1", "error": garbage, "task": garbage, "deadline": garbage}
    assert report_of(answer(0, "completed", response_body=body)).status is Status.COMPLETED
    assert report_of(answer(0, "dispatched", response_body=body | {"text": garbage})).status is Status.DISPATCHED


@pytest.mark.parametrize("unstorable", ["d\x00", "d\ud800", "\udfff"])
def test_two_ids_never_become_one(unstorable: str) -> None:
    body = {"delegation_id": unstorable, "task": "\x00"}
    for row in (delegate(0, request_body=body), delegate(0, request_body=json.dumps(body))):
        assert dead_letter_of(row)[0] == "request_body.delegation_id"
    assert dead_letter_of(answer(0, "completed", of=unstorable))[0] == "response_body.delegation_id"
    assert dead_letter_of(heartbeat(0, of=unstorable))[0] == "request_body.delegation_id"
    assert dead_letter_of(delegate(0, idempotency_key=unstorable))[0] == "idempotency_key"
    assert request_of(delegate(0, request_body=body | {"delegation_id": "d"})).task_preview == "\ufffd"


def test_unavailable_error_detail_and_key_are_none() -> None:
    row = delegate(
        0, "failed", error_detail=UNAVAILABLE_VALUE, idempotency_key=UNAVAILABLE_VALUE, response_body={"error": "e"}
    )
    assert report_of(row).error_detail == "e"
    assert request_of(row).idempotency_key is None


@pytest.mark.parametrize("row_id", [None, "no uuid"])
@pytest.mark.parametrize(
    ("row", "field"),
    [
        (delegate(0), "request_body"),
        (heartbeat(1), "request_body"),
        (answer(1, "completed"), "response_body"),
        (answer(1, "queued", response_body=None), "request_body"),
    ],
)
def test_left_out_body_of_a_row_without_an_id_is_a_dead_letter(
    row: dict[str, object], field: str, row_id: object
) -> None:
    found, reason = dead_letter_of(row | {field: UNAVAILABLE_VALUE, "id": row_id})
    assert found == field
    assert reason.startswith("the change feed left out a large unchanged body")
