"""The ends that a batch reads, and which of them its delegations have."""

import base64
import json
from functools import cache
from typing import Any

import pytest
from builders import InMemoryView, at, fold_batches, log, record, split
from hypothesis import example, given, settings
from hypothesis import strategies as st
from platform_logs import platform_logs
from rows import CALLER, UNAVAILABLE_VALUE, Columns, answer, delegate, heartbeat, updated, verdict

from projector.contract.facts import Status
from projector.domain.ends import End
from projector.recordings.file import RecordedRecord
from testbed.workload import Mix, records
from testbed.workload.log import with_offsets

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
    assert end == End("d-1", "activity-log", 0, 2, "report", Status.COMPLETED, ROW, True, at(7), True)


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


# --- any batching

MANY = settings(max_examples=200, deadline=None)
SOME = settings(max_examples=40, deadline=None)
IN_PLACE = [
    record(value, offset, timestamp=SEEN_MS + offset)
    for offset, value in enumerate([delegate(0), delegate(0, "completed"), delegate(0, "completed")])
]


def stored(view: InMemoryView) -> tuple[dict[Any, Any], dict[str, Any]]:
    """What the database has of these ends: the first one of each record, and one reply per delegation."""
    ends: dict[Any, Any] = {}
    outbox: dict[str, Any] = {}
    for end in view.ends:
        ends.setdefault(end[:4], end[:-1])
        if end.agrees:
            outbox.setdefault(end.delegation_id, (end.kind, end.status, end.has_text, end.at))
    return ends, outbox


def one_by_one(log: list[RecordedRecord]) -> InMemoryView:
    return fold_batches(*([each] for each in log))


@MANY
@given(platform_logs(), st.lists(st.integers(1, 24), max_size=4))
@example(IN_PLACE, [])
def test_any_batching_stores_the_same(log: list[RecordedRecord], places: list[int]) -> None:
    view = fold_batches(*split(log, places))
    assert stored(view) == stored(one_by_one(log))


@cache
def platform_log(seed: int) -> list[RecordedRecord]:
    mix = Mix(delegations=40, live=12, seed=seed, unrelated_share=0.1, repeat_every=90, longest_repeat=40)
    return [RecordedRecord(*each) for each in with_offsets(records(mix), partitions=1)]


@cache
def platform_stored(seed: int) -> Any:
    return stored(one_by_one(platform_log(seed)))


@SOME
@given(st.integers(0, 3), st.lists(st.integers(0, 500), max_size=20))
def test_any_batching_of_a_platforms_log_stores_the_same(seed: int, places: list[int]) -> None:
    view = fold_batches(*split(platform_log(seed), places))
    assert stored(view) == platform_stored(seed)
    ended = {row.delegation_id for row in view.rows.values() if row.status in ("completed", "failed", "stuck")}
    assert set(stored(view)[1]) == ended, "each delegation that ended has a reply, and no other one"


@SOME
@given(st.integers(0, 3), st.integers(0, 500), st.integers(1, 60))
def test_reading_again_stores_nothing_else(seed: int, length: int, size: int) -> None:
    again = platform_log(seed)[:length]
    view = fold_batches(platform_log(seed), *split(again, range(0, length, size)))
    assert stored(view) == platform_stored(seed)
