"""The ends that a batch reads, and which of them its delegations have."""

import base64
import json
from typing import Any

import pytest
from builders import at, fold_batches, log, record, split
from rows import CALLER, UNAVAILABLE_VALUE, Columns, answer, delegate, heartbeat, updated, verdict

from projector.contract.facts import Status
from projector.domain.ends import End
from projector.domain.reply import Kind
from projector.recordings.file import RecordedRecord

ROW = "ab1c1c1c-0000-4000-8000-000000000001"
SEEN_MS = 1_746_446_400_000
"""Two hours after ten o'clock."""


def ends_of(*values: object) -> list[End]:
    """The ends of these values, in a batch of their own each."""
    return fold_batches(*([each] for each in log(*values))).ends


def the_end(*values: object) -> End:
    [end] = ends_of(*values)
    return end


def kinds(ends: list[End]) -> list[tuple[int, str, str, bool]]:
    """Offset, kind and status of each end, and whether its delegation has it."""
    return [(end.offset, end.kind, str(end.status), end.agrees) for end in ends]


def test_report_that_ends_its_delegation_is_an_end() -> None:
    end = the_end(delegate(0), answer(1, "dispatched"), answer(7, "completed", text="done", id=ROW))
    assert end == End("d-1", "activity-log", 0, 2, Kind.REPORT, Status.COMPLETED, ROW, True, at(7), True)


def test_what_does_not_end_a_delegation_is_no_end() -> None:
    assert ends_of(delegate(0), heartbeat(1), answer(2, "in_progress"), {"activity_type": "llm_call"}, b"garbage") == []


@pytest.mark.parametrize(
    ("value", "kind", "has_text"),
    [
        (answer(1, "completed", text="done"), "report", True),
        (answer(1, "completed", text=""), "report", False),
        (answer(1, "completed"), "report", False),
        (answer(1, "completed", response_body={"delegation_id": "d-1"}, error_detail="unused"), "report", False),
        (answer(1, "failed", error="disk"), "report", True),
        (answer(1, "timeout"), "report", False),
        (answer(1, "stuck", error_detail="silent"), "verdict", True),
        (verdict(1, "stuck", silent=0), "verdict", False),
        (verdict(1, "failed", silent=None, error_detail="deadline"), "verdict", True),
    ],
)
def test_kind_and_text_are_those_of_the_event(value: Columns, kind: str, has_text: bool) -> None:
    end = the_end(delegate(0), value)
    assert (end.kind, end.has_text, end.agrees) == (kind, has_text, True)


def test_text_that_was_left_out_is_no_text() -> None:
    large = delegate(0, id=CALLER, request_body={"delegation_id": "d-1", "task": "t" * 1600})
    late = updated(large | {"status": "completed", "request_body": UNAVAILABLE_VALUE, "response_body": None}, 5)
    end = the_end(large, late)
    assert (end.has_text, end.row_id, end.at) == (False, CALLER, at(5))


# --- which ends a delegation has


def test_late_answer_is_an_end_that_the_delegation_does_not_have() -> None:
    ends = ends_of(delegate(0), verdict(20), answer(21, "completed", text="late"), answer(22, "failed"))
    assert kinds(ends) == [
        (1, "verdict", "stuck", True),
        (2, "report", "completed", False),
        (3, "report", "failed", False),
    ]


def test_repeated_end_agrees_again() -> None:
    """A service that uses the ledger may have moved the row before the first of them."""
    ends = ends_of(delegate(0), answer(1, "completed"), answer(2, "completed", text="done"), answer(1, "completed"))
    assert [end.agrees for end in ends] == [True] * 3


def test_stale_verdict_is_an_end_that_the_delegation_does_not_have() -> None:
    assert kinds(ends_of(delegate(0), heartbeat(9), verdict(20, silent=5))) == [(2, "verdict", "stuck", False)]


@pytest.mark.parametrize("places", [[], [2]])
def test_stale_verdict_with_the_later_status_is_not_had(places: list[int]) -> None:
    values = log(delegate(1), verdict(2, "failed", silent=0), answer(3, "failed"))
    assert kinds(fold_batches(*split(values, places)).ends) == [
        (1, "verdict", "failed", False),
        (2, "report", "failed", True),
    ]


@pytest.mark.parametrize("places", [[], [1], [2], [1, 2, 3]])
def test_request_applies_parked_ends(places: list[int]) -> None:
    early = log(answer(4, "completed", text="early", id=ROW), answer(5, "failed"), delegate(0))
    ends = fold_batches(*split(early, places)).ends
    assert kinds(ends) == [
        *((0, "report", "completed", False), (1, "report", "failed", False)),
        *((0, "report", "completed", True), (1, "report", "failed", False)),
    ]
    assert [end.row_id for end in ends] == [ROW, None, None, None]
    assert ends[2].at == at(4)


def test_request_that_never_comes_leaves_an_end_without_a_reply() -> None:
    assert kinds(ends_of(answer(1, "completed"))) == [(0, "report", "completed", False)]


def test_request_with_a_taken_key_has_no_reply() -> None:
    first = delegate(0, "completed", request_body={"delegation_id": "d-1"}, idempotency_key="k")
    second = delegate(1, "completed", request_body={"delegation_id": "d-2"}, idempotency_key="k")
    late = answer(2, "failed", of="d-2")
    assert [end.agrees for end in ends_of(first, late, second)] == [True, False, False, False]


# --- when an end happened


def end_at(*records: RecordedRecord) -> Any:
    return fold_batches(*([each] for each in records)).ends[-1].at


@pytest.mark.parametrize("timestamp", [SEEN_MS, None, -1])
def test_bare_row_updated_in_place_ended_when_it_was_recorded(timestamp: int | None) -> None:
    requested, ended = record(delegate(0)), record(delegate(0, "completed"), 1, timestamp=timestamp)
    assert end_at(requested, ended) == (at(120) if timestamp == SEEN_MS else at(0))


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_bare_row_that_moves_nothing_keeps_the_time_of_its_request(status: str) -> None:
    """A snapshot in bare form repeats rows in their last state: their record is young, and the end is old."""
    again = record(delegate(0, status), 2, timestamp=SEEN_MS)
    assert end_at(record(delegate(0)), record(answer(1, "completed"), 1), again) == at(0)
    assert end_at(again) == at(0)


@pytest.mark.parametrize(
    ("value", "minute"),
    [
        ({"op": "r", "after": delegate(0, "completed"), "source": {}}, 0),
        (delegate(0, "completed", __op="r"), 0),
        (updated(delegate(0, "completed"), 9), 9),
        ({"specversion": "1.0", "time": "2025-05-05T10:08:00Z", "data": delegate(0, "completed")}, 8),
        (answer(7, "completed"), 7),
    ],
    ids=["snapshot", "unwrapped snapshot", "update", "CloudEvent", "row of its own"],
)
def test_other_ends_have_the_time_of_their_event(value: object, minute: int) -> None:
    assert end_at(record(delegate(0)), record(value, 1, timestamp=SEEN_MS)) == at(minute)


# --- the activity row

ENDED = answer(1, "completed", text="done", id=ROW)
ENVELOPES = {
    "bare": ENDED,
    "upper case": ENDED | {"id": ROW.upper()},
    "change event": {"op": "c", "after": ENDED, "source": {"table": "activity_logs"}},
    "with schema": {"schema": {"type": "struct"}, "payload": {"op": "c", "after": ENDED, "source": {}}},
    "unwrapped": ENDED | {"__op": "c", "response_body": json.dumps(ENDED["response_body"])},
    "CloudEvent": {"specversion": "1.0", "data": ENDED},
    "CloudEvent in base64": {
        "specversion": "1.0",
        "data_base64": base64.b64encode(json.dumps(ENDED).encode()).decode(),
    },
    "text": json.dumps(ENDED),
    "head of a registry": b"\0\0\0\0\1" + json.dumps(ENDED).encode(),
}


@pytest.mark.parametrize("value", ENVELOPES.values(), ids=ENVELOPES)
def test_activity_row_is_found_in_every_envelope(value: object) -> None:
    assert the_end(delegate(0), value).row_id == ROW


@pytest.mark.parametrize("row_id", [None, 7, "", "no uuid", ROW.replace("-", ""), "{" + ROW + "}", [ROW]])
def test_id_that_is_no_uuid_counts_as_none(row_id: object) -> None:
    assert the_end(delegate(0), ENDED | {"id": row_id}).row_id is None
