"""Every cell of the table in events/README.md, section 4, and each change of a row; `given` applies events twice."""

import itertools

import pytest
from builders import at, given, heartbeat, report, request, row, state
from hypothesis import given as examples
from hypothesis import strategies as st

from projector.contract.facts import FAILED, IN_FLIGHT, RANK, TERMINAL, Heartbeat, Reported, Requested, Status
from projector.domain.lifecycle import Delegation, Row, State, evolve
from projector.domain.outcomes import Outcome

# The table of events/README.md, section 4. The product computes it from ranks and sets.
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
    (Status(before), reported): Outcome(outcome)
    for before, *outcomes in (line.split() for line in TABLE.strip().splitlines())
    for reported, outcome in zip(Status, outcomes, strict=True)
}

events = st.one_of(
    st.builds(request, minute=st.integers(-3, 9)),
    st.builds(heartbeat, st.integers(-3, 9)),
    st.builds(
        report, st.sampled_from(Status), st.integers(-3, 9), result=st.sampled_from([None, "r", "s"]), error=st.none()
    ),
    st.builds(report, st.sampled_from(sorted(FAILED)), st.integers(-3, 9), error=st.sampled_from([None, "e", "f"])),
)


def test_table_covers_each_pair_of_statuses() -> None:
    assert set(CELLS) == set(itertools.product(Status, Status))


def test_each_status_is_in_flight_or_terminal() -> None:
    assert set(Status) == IN_FLIGHT | TERMINAL
    assert not IN_FLIGHT & TERMINAL
    assert sorted(IN_FLIGHT, key=RANK.__getitem__) == ["queued", "dispatched", "in_progress"]
    assert {"failed", "stuck"} == FAILED


@pytest.mark.parametrize(("before", "reported"), CELLS)
def test_outcome_of_a_status_is_that_of_the_table(before: Status, reported: Status) -> None:
    outcome = CELLS[before, reported]
    then = given(row(before), report(reported, 5)).and_each_ended(outcome)
    expected = row(reported, updated_at=at(5)) if outcome is Outcome.ADVANCED else row(before)
    then.and_the_row_is(expected)


@pytest.mark.parametrize("before", Status)
def test_request_for_an_existing_row_changes_nothing(before: Status) -> None:
    other = request(minute=9, task_preview="another task", callee_id="other", idempotency_key="k")
    given(row(before), other).and_each_ended(Outcome.DUPLICATE).and_the_row_is(row(before))


@pytest.mark.parametrize("before", sorted(IN_FLIGHT))
def test_heartbeat_in_flight_is_recorded(before: Status) -> None:
    then = given(row(before), heartbeat(3)).and_each_ended(Outcome.HEARTBEAT)
    then.and_the_row_is(row(before, last_heartbeat=at(3), updated_at=at(3)))


@pytest.mark.parametrize("before", sorted(TERMINAL))
def test_heartbeat_after_the_end_is_refused(before: Status) -> None:
    given(row(before), heartbeat(3)).and_each_ended(Outcome.REFUSED).and_the_row_is(row(before))


@pytest.mark.parametrize("reported", Status)
def test_status_without_a_row_is_parked(reported: Status) -> None:
    given(None, report(reported)).and_each_ended(Outcome.PARKED).and_the_row_is(None)


def test_heartbeat_without_a_row_is_parked() -> None:
    given(None, heartbeat()).and_each_ended(Outcome.PARKED).and_the_row_is(None)


def test_request_inserts_a_queued_row() -> None:
    event = request(minute=4, idempotency_key="k", deadline=at(99))
    then = given(None, event).and_each_ended(Outcome.INSERTED)
    then.and_the_row_is(
        Delegation(
            delegation_id="d-1",
            caller_id=event.caller_id,
            callee_id=event.callee_id,
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
@pytest.mark.parametrize("reported", Status)
def test_result_and_error_are_stored_by_status(before: Status, reported: Status) -> None:
    if CELLS[before, reported] is not Outcome.ADVANCED:
        return
    after = given(row(before), report(reported, result="result", error="error")).row
    assert after is not None
    assert after.result_preview == ("result" if reported is Status.COMPLETED else None)
    assert after.error_detail == ("error" if reported in FAILED else None)


@pytest.mark.parametrize("ended", sorted(TERMINAL))
@pytest.mark.parametrize("empty", [None, ""])
def test_empty_preview_is_filled_only_once(ended: Status, empty: str | None) -> None:
    column = "result_preview" if ended is Status.COMPLETED else "error_detail"
    texts = [{"result": text, "error": text} for text in ("first", "second")]
    then = given(row(ended, **{column: empty}), *(report(ended, 2 + n, **text) for n, text in enumerate(texts)))
    then.and_each_ended(Outcome.FILLED, Outcome.DUPLICATE)
    then.and_the_row_is(row(ended, **{column: "first"}, updated_at=at(2)))


@pytest.mark.parametrize("ended", sorted(TERMINAL))
def test_text_of_the_other_column_fills_nothing(ended: Status) -> None:
    texts = {"error": "error"} if ended is Status.COMPLETED else {"result": "result"}
    given(row(ended), report(ended, 1, **texts)).and_each_ended(Outcome.DUPLICATE).and_the_row_is(row(ended))


@pytest.mark.parametrize("ended", sorted(TERMINAL))
@pytest.mark.parametrize("nothing", [None, ""])
def test_empty_text_fills_nothing(ended: Status, nothing: str | None) -> None:
    reported = report(ended, 9, result=nothing, error=nothing)
    given(row(ended), reported).and_each_ended(Outcome.DUPLICATE).and_the_row_is(row(ended))


@pytest.mark.parametrize("reported", Status)
def test_earlier_status_keeps_updated_at(reported: Status) -> None:
    before = row(updated_at=at(7))
    after = given(before, report(reported, 2, result="text", error="text")).row
    assert after is not None
    assert after.updated_at == at(7)


@pytest.mark.parametrize("ended", sorted(TERMINAL))
def test_earlier_filling_text_keeps_updated_at(ended: Status) -> None:
    then = given(row(ended, updated_at=at(7)), report(ended, 2, result="text", error="text"))
    then.and_each_ended(Outcome.FILLED)
    assert then.row is not None
    assert then.row.updated_at == at(7)


def test_late_heartbeat_moves_no_time_back() -> None:
    then = given(row(), heartbeat(5), heartbeat(3)).and_each_ended(Outcome.HEARTBEAT, Outcome.HEARTBEAT)
    then.and_the_row_is(row(last_heartbeat=at(5), updated_at=at(5)))


def test_first_heartbeat_before_the_request_keeps_updated_at() -> None:
    given(row(), heartbeat(-2)).and_the_row_is(row(last_heartbeat=at(-2), updated_at=at(0)))


def test_heartbeat_before_the_last_change_keeps_updated_at() -> None:
    before = row(last_heartbeat=at(1), updated_at=at(9))
    given(before, heartbeat(4)).and_the_row_is(row(last_heartbeat=at(4), updated_at=at(9)))


def test_heartbeat_moves_updated_at_alone_if_another_writer_left_it_behind() -> None:
    before = row(last_heartbeat=at(9), updated_at=at(1))
    given(before, heartbeat(4)).and_the_row_is(row(last_heartbeat=at(9), updated_at=at(4)))


def test_event_without_effect_returns_the_same_object() -> None:
    before = row(Status.IN_PROGRESS, last_heartbeat=at(3), updated_at=at(3))
    for event in (request(), heartbeat(2), report(Status.IN_PROGRESS), report(Status.QUEUED)):
        assert evolve(before, event).after is before


def test_heartbeat_and_report_have_different_rules() -> None:
    assert evolve(row(), heartbeat(1)).outcome is Outcome.HEARTBEAT
    assert evolve(row(), Reported("d-1", Status.QUEUED, at(1))).outcome is Outcome.DUPLICATE


@examples(st.lists(events, max_size=8))
def test_times_and_terminal_statuses_never_go_back(steps: list[Requested | Reported | Heartbeat]) -> None:
    before: Row = row()
    for event in steps:
        after, _ = evolve(before, event)
        assert after is not None
        assert after.updated_at >= before.updated_at
        assert before.last_heartbeat is None or (after.last_heartbeat or at(-99)) >= before.last_heartbeat
        assert before.status in IN_FLIGHT or after.status is before.status
        assert before.result_preview is None or after.result_preview == before.result_preview
        before = after


@examples(st.lists(events, min_size=1, max_size=8))
def test_repeated_events_give_the_same_row(steps: list[Requested | Reported | Heartbeat]) -> None:
    once = given(None, request(), *steps, times=1).row
    given(None, request(), *steps, times=3).and_the_row_is(once)


@examples(st.lists(events, max_size=8))
def test_row_that_was_read_changes_like_the_whole_row(steps: list[Requested | Reported | Heartbeat]) -> None:
    inserted = row(idempotency_key="order-7", retry_count=3)
    whole: Row | None = inserted
    read: Row | None = state(inserted)
    for event in steps:
        (whole, outcome), (read, outcome_of_read) = evolve(whole, event), evolve(read, event)
        assert isinstance(read, State)
        assert outcome_of_read is outcome
        assert whole == inserted._replace(**read._asdict())
