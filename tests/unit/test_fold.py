"""The fold over records: what is parked and healed, who loses a key, what is recalled, and what never matters."""

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
STORY = log(heartbeat(1), answer(2, "completed", text="early"), delegate(3, "dispatched"), heartbeat(4))
LATE = updated(delegate(0, "completed", id=CALLER, request_body=UNAVAILABLE_VALUE, response_body={"text": "done"}), 5)
LARGE = delegate(0, id=CALLER, request_body={"delegation_id": "d-1", "task": "t" * 1600})


def both(delegation_id: str, **columns: object) -> Columns:
    return {"request_body": {"delegation_id": delegation_id}, "idempotency_key": "k"} | columns


# --- parked


@pytest.mark.parametrize("place", range(len(STORY) + 1))
def test_parked_events_heal_in_the_same_batch_or_a_later_one(place: int) -> None:
    memory = fold_batches(*split(STORY, [place]), *split(STORY, [place]))
    healed = memory.rows["d-1"]
    assert (healed.status, healed.result_preview, healed.last_heartbeat) == (Status.COMPLETED, "early", at(1))
    assert (healed.created_at, healed.updated_at) == (at(3), at(3))
    assert memory.parked == {}


def test_parked_events_are_applied_in_order_and_then_the_request_s_own_status() -> None:
    outcomes = outcomes_of(*log(answer(5, "dispatched"), answer(6, "failed", error="first"), delegate(0, "stuck")))
    assert outcomes == [Outcome.PARKED, Outcome.PARKED, Outcome.INSERTED]
    memory = fold_batches(
        log(answer(5, "stuck"), answer(6, "failed", error="x"), answer(7, "stuck", error="y"), delegate(0))
    )
    assert (memory.rows["d-1"].status, memory.rows["d-1"].error_detail) == (Status.STUCK, "y")
    assert memory.rows["d-1"].updated_at == at(7)


def test_what_nobody_asks_for_stays_parked_and_makes_no_row() -> None:
    memory = fold_batches(log(heartbeat(1), answer(2, "completed")))
    assert memory.rows == {}
    assert [parked.offset for parked in memory.parked.values()] == [0, 1]


def test_row_of_another_writer_heals_when_its_request_comes() -> None:
    memory = fold_batches(log(answer(2, "completed", text="early")))
    others = fold_batches(log(delegate(0))).rows
    memory.rows = others
    assert memory.project([record(delegate(0), 1)]) == [Outcome.REFUSED]  # its own `queued`, once it is completed
    assert memory.rows["d-1"].status is Status.COMPLETED
    assert memory.parked == {}


# --- idempotency keys


@pytest.mark.parametrize("place", [0, 1, 2, 3, 4])
def test_loser_of_a_key_is_a_duplicate_as_a_whole_within_one_batch_or_across(place: int) -> None:
    told = log(
        answer(0, "in_progress", of="d-2"),
        delegate(1, **both("d-1")),
        delegate(2, "failed", **both("d-2")),
        answer(3, "completed", of="d-2"),
        delegate(4, "dispatched", **both("d-1")),
    )
    memory, outcomes = InMemoryView(), []
    for batch in split(told, [place]):
        outcomes += memory.project(batch)
    assert outcomes == ["parked", "inserted", "duplicate", "parked", "advanced"]
    assert list(memory.rows) == ["d-1"]
    assert memory.rows["d-1"].status is Status.DISPATCHED
    assert [parked.offset for parked in memory.parked.values()] == [0, 3]


def test_key_belongs_to_a_caller() -> None:
    others = delegate(1, source_id=CALLEE, **both("d-2"))
    assert set(fold_batches(log(delegate(0, **both("d-1")), others)).rows) == {"d-1", "d-2"}
    same = delegate(1, source_id=CALLER.upper(), **both("d-2"))
    assert set(fold_batches(log(delegate(0, **both("d-1")), same)).rows) == {"d-1"}


@pytest.mark.parametrize("nothing", ["", None])
def test_empty_key_is_no_key(nothing: str | None) -> None:
    told = [delegate(0, **both(each, idempotency_key=nothing)) for each in ("d-1", "d-2")]
    assert len(fold_batches(log(*told)).rows) == 2


def test_keys_that_are_cleaned_to_the_same_text_are_the_same_key() -> None:
    told = [delegate(0, **both(f"d-{key!a}", idempotency_key=key)) for key in ("\x00", "\ud800", "\ufffd")]
    assert outcomes_of(*log(*told)) == ["inserted", "duplicate", "duplicate"]


# --- bodies that were left out


@pytest.mark.parametrize("place", [0, 1])
def test_row_whose_body_was_left_out_is_recalled_within_the_batch_or_across(place: int) -> None:
    memory = fold_batches(*split(log(LARGE, LATE), [place]))
    row = memory.rows["d-1"]
    assert (row.status, row.result_preview, row.task_preview) == (Status.COMPLETED, "done", "t" * 1600)
    assert row.updated_at == at(5)


def test_request_that_is_recalled_for_a_row_of_nobody_has_an_empty_task() -> None:
    result = answer(0, "dispatched", id=CALLER, text="x" * 1600)
    assert fold_batches(log(result, LATE)).rows["d-1"].task_preview == ""


def test_result_whose_response_was_left_out_is_recalled_and_its_text_counts_as_absent() -> None:
    result = answer(1, "in_progress", id=CALLEE, text="x" * 1600)
    left_out = updated(result | {"status": "completed", "response_body": UNAVAILABLE_VALUE}, 2)
    row = fold_batches(log(delegate(0), result, left_out)).rows["d-1"]
    assert (row.status, row.result_preview) == (Status.COMPLETED, None)


def test_body_that_no_rule_uses_may_be_left_out_of_a_row_never_seen() -> None:
    assert outcomes_of(*log(delegate(0, "dispatched", response_body=UNAVAILABLE_VALUE))) == [Outcome.INSERTED]


@pytest.mark.parametrize("row_id", [CALLER, None, "garbage", 7])
def test_row_never_seen_is_a_dead_letter_that_names_the_cure(row_id: object) -> None:
    left_out = LATE | {"after": LATE["after"] | {"id": row_id}}
    [letter] = fold_batches(log(left_out)).dead_letters
    assert "REPLICA IDENTITY FULL" in letter.reason
    assert "only request_body and response_body" in letter.reason


def test_small_row_is_not_remembered() -> None:
    bound = len(CALLER) * 3 + len("delegationdelegatepending" + "2025-05-05T10:00:00+00:00")
    body = len('{"delegation_id":"d-1","task":""}')
    for size, large_rows in ((1500, {}), (1501, {CALLER: "d-1"})):
        task = "t" * (size - bound - body)
        row = delegate(0, id=CALLER, request_body={"delegation_id": "d-1", "task": task})
        assert fold_batches(log({"op": "c", "after": row, "before": {"padding": "x" * 2000}})).large_rows == large_rows


def test_row_id_that_is_used_again_belongs_to_its_latest_delegation() -> None:
    again = LARGE | {"request_body": {"delegation_id": "d-2", "task": "t" * 1600}}
    memory = fold_batches(log(LARGE, again, LATE))
    told = [(row.delegation_id, row.status) for row in memory.rows.values()]
    assert told == [("d-1", "queued"), ("d-2", "completed")]


# --- what never matters


@cache
def platform(seed: int) -> list[RecordedRecord]:
    return [RecordedRecord(*each) for each in with_offsets(records(SMALL._replace(seed=seed)), partitions=1)]


@cache
def table(seed: int) -> dict[str, Delegation]:
    return fold_batches(platform(seed)).rows


seeds = st.integers(0, 7)
stretches = st.tuples(st.integers(0, 400), st.integers(1, 120))
modest = settings(max_examples=60, deadline=None)


@modest
@given(seeds, st.lists(st.integers(0, 500), max_size=40))
def test_any_split_into_batches_gives_the_same_table_and_outcomes(seed: int, places: list[int]) -> None:
    memory, outcomes = InMemoryView(), Counter[Outcome]()
    for batch in split(platform(seed), places):
        outcomes.update(memory.project(batch))
    whole = InMemoryView()
    assert outcomes == Counter(whole.project(platform(seed)))
    assert outcomes.total() == len(platform(seed))
    assert (memory.rows, memory.parked, memory.large_rows) == (table(seed), whole.parked, whole.large_rows)


@modest
@given(seeds, st.lists(stretches, max_size=4))
def test_any_repetition_of_any_stretch_gives_the_same_table(seed: int, repeats: list[tuple[int, int]]) -> None:
    told = list(platform(seed))
    for start, length in repeats:
        end = min(start + length, len(told))
        told[end:end] = told[start:end]
    again = [each._replace(offset=offset) for offset, each in enumerate(told)]
    assert fold_batches(*split(again, range(0, len(again), 37))).rows == table(seed)


@modest
@given(seeds, st.integers(0, 500), st.integers(1, 60))
def test_any_prefix_replayed_gives_the_same_table(seed: int, length: int, size: int) -> None:
    prefix = platform(seed)[:length]
    assert fold_batches(platform(seed), *split(prefix, range(0, length, size))).rows == table(seed)
    assert fold_batches(prefix, *split(platform(seed), range(0, 500, size))).rows == table(seed)


@pytest.mark.parametrize("seed", range(20, 26))
def test_table_and_outcomes_are_those_of_the_judge(seed: int) -> None:
    verdict, memory = fold_log(with_offsets(records(SMALL._replace(seed=seed)), partitions=1)), InMemoryView()
    outcomes = Counter(str(outcome) for batch in split(platform(seed), [77]) for outcome in memory.project(batch))
    assert outcomes == verdict.outcomes
    assert sorted(map(tuple, memory.rows.values())) == sorted(map(astuple, verdict.rows.values()))
    assert Counter(each.event.delegation_id for each in memory.parked.values()) == verdict.parked
    assert {letter.record.offset for letter in memory.dead_letters} == {each.offset for each in verdict.dead_letters}
