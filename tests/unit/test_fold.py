"""The fold over records: parked events, idempotency keys, unavailable bodies, and splits and repetitions."""

from collections import Counter
from dataclasses import astuple
from functools import cache

import pytest
from builders import InMemoryView, at, fold_batches, log, outcomes_of, record, split
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import CALLEE, CALLER, UNAVAILABLE_VALUE, Columns, answer, delegate, heartbeat, updated

from projector.contract.facts import Status
from projector.domain.lifecycle import Delegation
from projector.domain.outcomes import Outcome
from projector.recordings.file import RecordedRecord
from testbed.oracle import fold_log
from testbed.workload import Mix, records
from testbed.workload.log import with_offsets

SMALL = Mix(delegations=50, live=12, unrelated_share=0.1, malformed_share=0.03, repeat_every=90, longest_repeat=40)
EVENTS = log(heartbeat(1), answer(2, "completed", text="early"), delegate(3, "dispatched"), heartbeat(4))
LATE = updated(delegate(0, "completed", id=CALLER, request_body=UNAVAILABLE_VALUE, response_body={"text": "done"}), 5)
LARGE = delegate(0, id=CALLER, request_body={"delegation_id": "d-1", "task": "t" * 1600})


def with_key(delegation_id: str, **columns: object) -> Columns:
    return {"request_body": {"delegation_id": delegation_id}, "idempotency_key": "k"} | columns


# --- parked


@pytest.mark.parametrize("place", range(len(EVENTS) + 1))
def test_parked_events_are_applied_in_any_batch(place: int) -> None:
    memory = fold_batches(*split(EVENTS, [place]), *split(EVENTS, [place]))
    row = memory.rows["d-1"]
    assert (row.status, row.result_preview, row.last_heartbeat) == (Status.COMPLETED, "early", at(1))
    assert (row.created_at, row.updated_at) == (at(3), at(3))
    assert memory.parked == {}


def test_parked_events_are_applied_before_the_requests_own_status() -> None:
    outcomes = outcomes_of(*log(answer(5, "dispatched"), answer(6, "failed", error="first"), delegate(0, "stuck")))
    assert outcomes == [Outcome.PARKED, Outcome.PARKED, Outcome.INSERTED]
    memory = fold_batches(
        log(answer(5, "stuck"), answer(6, "failed", error="x"), answer(7, "stuck", error="y"), delegate(0))
    )
    assert (memory.rows["d-1"].status, memory.rows["d-1"].error_detail) == (Status.STUCK, "y")
    assert memory.rows["d-1"].updated_at == at(7)


def test_event_without_a_request_stays_parked() -> None:
    memory = fold_batches(log(heartbeat(1), answer(2, "completed")))
    assert memory.rows == {}
    assert [parked.offset for parked in memory.parked.values()] == [0, 1]


def test_request_applies_parked_events_to_an_existing_row() -> None:
    memory = fold_batches(log(answer(2, "completed", text="early")))
    memory.rows = fold_batches(log(delegate(0))).rows  # as another writer inserted it
    assert memory.project([record(delegate(0), 1)]) == [Outcome.REFUSED]  # its own status, `queued`
    assert memory.rows["d-1"].status is Status.COMPLETED
    assert memory.parked == {}


# --- idempotency keys


@pytest.mark.parametrize("place", [0, 1, 2, 3, 4])
def test_second_request_with_a_key_is_a_duplicate(place: int) -> None:
    events = log(
        answer(0, "in_progress", of="d-2"),
        delegate(1, **with_key("d-1")),
        delegate(2, "failed", **with_key("d-2")),
        answer(3, "completed", of="d-2"),
        delegate(4, "dispatched", **with_key("d-1")),
    )
    memory, outcomes = InMemoryView(), []
    for batch in split(events, [place]):
        outcomes += memory.project(batch)
    assert outcomes == ["parked", "inserted", "duplicate", "parked", "advanced"]
    assert list(memory.rows) == ["d-1"]
    assert memory.rows["d-1"].status is Status.DISPATCHED
    assert [parked.offset for parked in memory.parked.values()] == [0, 3]


def test_idempotency_keys_are_per_caller() -> None:
    other_caller = delegate(1, source_id=CALLEE, **with_key("d-2"))
    assert set(fold_batches(log(delegate(0, **with_key("d-1")), other_caller)).rows) == {"d-1", "d-2"}
    same_caller = delegate(1, source_id=CALLER.upper(), **with_key("d-2"))
    assert set(fold_batches(log(delegate(0, **with_key("d-1")), same_caller)).rows) == {"d-1"}


@pytest.mark.parametrize("nothing", ["", None])
def test_empty_key_is_no_key(nothing: str | None) -> None:
    events = [delegate(0, **with_key(delegation_id, idempotency_key=nothing)) for delegation_id in ("d-1", "d-2")]
    assert len(fold_batches(log(*events)).rows) == 2


# --- unavailable bodies


@pytest.mark.parametrize("place", [0, 1])
def test_unavailable_request_body_is_resolved_in_any_batch(place: int) -> None:
    memory = fold_batches(*split(log(LARGE, LATE), [place]))
    row = memory.rows["d-1"]
    assert (row.status, row.result_preview, row.task_preview) == (Status.COMPLETED, "done", "t" * 1600)
    assert row.updated_at == at(5)


def test_resolved_request_without_a_row_has_no_task() -> None:
    result = answer(0, "dispatched", id=CALLER, text="x" * 1600)
    assert fold_batches(log(result, LATE)).rows["d-1"].task_preview == ""


def test_unavailable_response_has_no_result_text() -> None:
    result = answer(1, "in_progress", id=CALLEE, text="x" * 1600)
    left_out = updated(result | {"status": "completed", "response_body": UNAVAILABLE_VALUE}, 2)
    row = fold_batches(log(delegate(0), result, left_out)).rows["d-1"]
    assert (row.status, row.result_preview) == (Status.COMPLETED, None)


def test_unused_unavailable_body_is_ignored() -> None:
    assert outcomes_of(*log(delegate(0, "dispatched", response_body=UNAVAILABLE_VALUE))) == [Outcome.INSERTED]


@pytest.mark.parametrize("row_id", [CALLER, None, "garbage", 7])
def test_dead_letter_of_an_unseen_row_names_the_remedy(row_id: object) -> None:
    left_out = LATE | {"after": LATE["after"] | {"id": row_id}}
    [letter] = fold_batches(log(left_out)).dead_letters
    assert "REPLICA IDENTITY FULL" in letter.reason
    assert "only request_body and response_body" in letter.reason


def test_only_large_rows_are_stored() -> None:
    bound = len(CALLER) * 3 + len("delegationdelegatepending" + "2025-05-05T10:00:00+00:00")
    body = len('{"delegation_id":"d-1","task":""}')
    for size, large_rows in ((1500, {}), (1501, {CALLER: "d-1"})):
        task = "t" * (size - bound - body)
        row = delegate(0, id=CALLER, request_body={"delegation_id": "d-1", "task": task})
        assert fold_batches(log({"op": "c", "after": row, "before": {"padding": "x" * 2000}})).large_rows == large_rows


def test_reused_row_id_belongs_to_its_latest_delegation() -> None:
    reused = LARGE | {"request_body": {"delegation_id": "d-2", "task": "t" * 1600}}
    memory = fold_batches(log(LARGE, reused, LATE))
    rows = [(row.delegation_id, row.status) for row in memory.rows.values()]
    assert rows == [("d-1", "queued"), ("d-2", "completed")]


# --- splits and repetitions


@cache
def platform_log(seed: int) -> list[RecordedRecord]:
    return [RecordedRecord(*each) for each in with_offsets(records(SMALL._replace(seed=seed)), partitions=1)]


@cache
def table(seed: int) -> dict[str, Delegation]:
    return fold_batches(platform_log(seed)).rows


seeds = st.integers(0, 7)
ranges = st.tuples(st.integers(0, 400), st.integers(1, 120))
modest = settings(max_examples=60, deadline=None)


@modest
@given(seeds, st.lists(st.integers(0, 500), max_size=40))
def test_any_split_into_batches_gives_the_same_table(seed: int, places: list[int]) -> None:
    memory, outcomes = InMemoryView(), Counter[Outcome]()
    for batch in split(platform_log(seed), places):
        outcomes.update(memory.project(batch))
    whole = InMemoryView()
    assert outcomes == Counter(whole.project(platform_log(seed)))
    assert outcomes.total() == len(platform_log(seed))
    assert (memory.rows, memory.parked, memory.large_rows) == (table(seed), whole.parked, whole.large_rows)


@modest
@given(seeds, st.lists(ranges, max_size=4))
def test_repeated_ranges_give_the_same_table(seed: int, repeats: list[tuple[int, int]]) -> None:
    events = list(platform_log(seed))
    for start, length in repeats:
        end = min(start + length, len(events))
        events[end:end] = events[start:end]
    repeated = [each._replace(offset=offset) for offset, each in enumerate(events)]
    assert fold_batches(*split(repeated, range(0, len(repeated), 37))).rows == table(seed)


@modest
@given(seeds, st.integers(0, 500), st.integers(1, 60))
def test_replayed_prefix_gives_the_same_table(seed: int, length: int, size: int) -> None:
    prefix = platform_log(seed)[:length]
    assert fold_batches(platform_log(seed), *split(prefix, range(0, length, size))).rows == table(seed)
    assert fold_batches(prefix, *split(platform_log(seed), range(0, 500, size))).rows == table(seed)


@pytest.mark.parametrize("seed", range(20, 26))
def test_table_and_outcomes_equal_the_oracles(seed: int) -> None:
    expected, memory = fold_log(with_offsets(records(SMALL._replace(seed=seed)), partitions=1)), InMemoryView()
    outcomes = Counter(str(outcome) for batch in split(platform_log(seed), [77]) for outcome in memory.project(batch))
    assert outcomes == expected.outcomes
    assert sorted(map(tuple, memory.rows.values())) == sorted(map(astuple, expected.rows.values()))
    assert Counter(each.event.delegation_id for each in memory.parked.values()) == expected.parked
    assert {letter.record.offset for letter in memory.dead_letters} == {each.offset for each in expected.dead_letters}
