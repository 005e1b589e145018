"""Every cell of the table in events/README.md, section 4, and what each move does to the row. Applied twice."""

import itertools

import pytest
from builders import at, given, heartbeat, report, request, row
from hypothesis import given as examples
from hypothesis import strategies as st

from projector.contract.facts import FAILED, IN_FLIGHT, RANK, TERMINAL, Heartbeat, Reported, Requested, Status
from projector.domain.lifecycle import Delegation, Row, evolve
from projector.domain.outcomes import Outcome

# events/README.md, section 4, in its own words. The product has it as ranks and sets; here it is a drawing.
#           before         queued       dispatched   in_progress  completed    failed       stuck
TABLE = """
            queued         duplicate    advanced     advanced     advanced     advanced     advanced
            dispatched     stale        duplicate    advanced     advanced     advanced     advanced
            in_progress    stale        stale        duplicate    advanced     advanced     advanced
            completed      refused      refused      refused      duplicate    refused      refused
            failed         refused      refused      refused      refused      duplicate    refused
            stuck          refused      refused      refused      refused      refused      duplicate
"""
CELLS = {
    (Status(before), told): Outcome(outcome)
    for before, *outcomes in (line.split() for line in TABLE.strip().splitlines())
    for told, outcome in zip(Status, outcomes, strict=True)
}

events = st.one_of(
    st.builds(request, minute=st.integers(-3, 9)),
    st.builds(heartbeat, st.integers(-3, 9)),
    st.builds(
        report, st.sampled_from(Status), st.integers(-3, 9), result=st.sampled_from([None, "r", "s"]), error=st.none()
    ),
    st.builds(report, st.sampled_from(sorted(FAILED)), st.integers(-3, 9), error=st.sampled_from([None, "e", "f"])),
)


def test_table_has_a_cell_for_each_pair_of_states() -> None:
    assert set(CELLS) == set(itertools.product(Status, Status))


def test_states_in_flight_and_terminal_states_share_nothing_and_leave_none_out() -> None:
    assert set(Status) == IN_FLIGHT | TERMINAL
    assert not IN_FLIGHT & TERMINAL
    assert sorted(IN_FLIGHT, key=RANK.__getitem__) == ["queued", "dispatched", "in_progress"]
    assert {"failed", "stuck"} == FAILED


@pytest.mark.parametrize(("before", "told"), CELLS)
def test_status_ends_as_its_cell_says(before: Status, told: Status) -> None:
    outcome = CELLS[before, told]
    then = given(row(before), report(told, 5)).and_each_ended(outcome)
    moved = row(told, updated_at=at(5)) if outcome is Outcome.ADVANCED else row(before)
    then.and_the_row_is(moved)


@pytest.mark.parametrize("before", Status)
def test_request_for_a_row_that_is_there_changes_nothing(before: Status) -> None:
    other = request(minute=9, task_preview="another task", callee_id="other", idempotency_key="k")
    given(row(before), other).and_each_ended(Outcome.DUPLICATE).and_the_row_is(row(before))


@pytest.mark.parametrize("before", sorted(IN_FLIGHT))
def test_heartbeat_counts_in_flight(before: Status) -> None:
    then = given(row(before), heartbeat(3)).and_each_ended(Outcome.HEARTBEAT)
    then.and_the_row_is(row(before, last_heartbeat=at(3), updated_at=at(3)))


@pytest.mark.parametrize("before", sorted(TERMINAL))
def test_heartbeat_is_refused_once_it_is_over(before: Status) -> None:
    given(row(before), heartbeat(3)).and_each_ended(Outcome.REFUSED).and_the_row_is(row(before))


@pytest.mark.parametrize("told", Status)
def test_status_without_a_row_is_parked(told: Status) -> None:
    given(None, report(told)).and_each_ended(Outcome.PARKED).and_the_row_is(None)


def test_heartbeat_without_a_row_is_parked() -> None:
    given(None, heartbeat()).and_each_ended(Outcome.PARKED).and_the_row_is(None)


def test_request_without_a_row_makes_one_that_is_queued() -> None:
    asked = request(minute=4, idempotency_key="k", deadline=at(99))
    then = given(None, asked).and_each_ended(Outcome.INSERTED)
    then.and_the_row_is(
        Delegation(
            delegation_id="d-1",
            caller_id=asked.caller_id,
            callee_id=asked.callee_id,
            task_preview="a task",
            status=Status.QUEUED,
            last_heartbeat=None,
            deadline=at(99),
            result_preview=None,
            error_detail=None,
            retry_count=0,
            created_at=at(4),
            updated_at=at(4),
            idempotency_key="k",
        )
    )


@pytest.mark.parametrize("before", sorted(IN_FLIGHT))
@pytest.mark.parametrize("told", Status)
def test_result_comes_with_completed_and_error_with_failed_and_stuck_alone(before: Status, told: Status) -> None:
    if CELLS[before, told] is not Outcome.ADVANCED:
        return
    after = given(row(before), report(told, result="result", error="error")).row
    assert after is not None
    assert after.result_preview == ("result" if told is Status.COMPLETED else None)
    assert after.error_detail == ("error" if told in FAILED else None)


@pytest.mark.parametrize("over", sorted(TERMINAL))
@pytest.mark.parametrize("empty", [None, ""])
def test_empty_preview_is_filled_once_and_never_replaced(over: Status, empty: str | None) -> None:
    column = "result_preview" if over is Status.COMPLETED else "error_detail"
    texts = [{"result": text, "error": text} for text in ("first", "second")]
    then = given(row(over, **{column: empty}), *(report(over, 2 + n, **text) for n, text in enumerate(texts)))
    then.and_each_ended(Outcome.FILLED, Outcome.DUPLICATE)
    then.and_the_row_is(row(over, **{column: "first"}, updated_at=at(2)))


@pytest.mark.parametrize("over", sorted(TERMINAL))
def test_text_of_the_wrong_kind_fills_nothing(over: Status) -> None:
    texts = {"error": "error"} if over is Status.COMPLETED else {"result": "result"}
    given(row(over), report(over, 1, **texts)).and_each_ended(Outcome.DUPLICATE).and_the_row_is(row(over))


@pytest.mark.parametrize("over", sorted(TERMINAL))
@pytest.mark.parametrize("nothing", [None, ""])
def test_empty_text_fills_nothing(over: Status, nothing: str | None) -> None:
    told = report(over, 9, result=nothing, error=nothing)
    given(row(over), told).and_each_ended(Outcome.DUPLICATE).and_the_row_is(row(over))


@pytest.mark.parametrize("told", Status)
def test_updated_at_never_goes_back_when_a_status_is_dated_before(told: Status) -> None:
    before = row(updated_at=at(7))
    after = given(before, report(told, 2, result="text", error="text")).row
    assert after is not None
    assert after.updated_at == at(7)


@pytest.mark.parametrize("over", sorted(TERMINAL))
def test_updated_at_never_goes_back_when_a_text_that_fills_is_dated_before(over: Status) -> None:
    then = given(row(over, updated_at=at(7)), report(over, 2, result="text", error="text"))
    then.and_each_ended(Outcome.FILLED)
    assert then.row is not None
    assert then.row.updated_at == at(7)


def test_late_heartbeat_counts_and_moves_neither_time_back() -> None:
    then = given(row(), heartbeat(5), heartbeat(3)).and_each_ended(Outcome.HEARTBEAT, Outcome.HEARTBEAT)
    then.and_the_row_is(row(last_heartbeat=at(5), updated_at=at(5)))


def test_first_heartbeat_dated_before_the_request_is_kept_without_moving_updated_at_back() -> None:
    given(row(), heartbeat(-2)).and_the_row_is(row(last_heartbeat=at(-2), updated_at=at(0)))


def test_heartbeat_between_the_last_one_and_the_last_change_moves_the_heartbeat_alone() -> None:
    before = row(last_heartbeat=at(1), updated_at=at(9))
    given(before, heartbeat(4)).and_the_row_is(row(last_heartbeat=at(4), updated_at=at(9)))


def test_what_changes_nothing_returns_the_very_same_row() -> None:
    before = row(Status.IN_PROGRESS, last_heartbeat=at(3), updated_at=at(3))
    for event in (request(), heartbeat(2), report(Status.IN_PROGRESS), report(Status.QUEUED)):
        assert evolve(before, event).after is before


def test_kinds_of_events_are_never_taken_for_each_other() -> None:
    assert evolve(row(), heartbeat(1)).outcome is Outcome.HEARTBEAT
    assert evolve(row(), Reported("d-1", Status.QUEUED, at(1))).outcome is Outcome.DUPLICATE


@examples(st.lists(events, max_size=8))
def test_no_story_moves_a_time_back_or_leaves_a_terminal_state(story: list[Requested | Reported | Heartbeat]) -> None:
    before: Row = row()
    for event in story:
        after, _ = evolve(before, event)
        assert after is not None
        assert after.updated_at >= before.updated_at
        assert before.last_heartbeat is None or (after.last_heartbeat or at(-99)) >= before.last_heartbeat
        assert before.status in IN_FLIGHT or after.status is before.status
        assert before.result_preview is None or after.result_preview == before.result_preview
        before = after


@examples(st.lists(events, min_size=1, max_size=8))
def test_every_story_told_three_times_ends_as_told_once(story: list[Requested | Reported | Heartbeat]) -> None:
    once = given(None, request(), *story, times=1).row
    given(None, request(), *story, times=3).and_the_row_is(once)
