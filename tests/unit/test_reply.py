"""What a caller is told, and when a reply is tried again: pure rules, without a server."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projector.contract.facts import Status
from projector.domain.reply import (
    LONGEST_DELAY,
    MOST_ATTEMPTS,
    End,
    Ended,
    Kind,
    chosen,
    delay,
    event_id,
    is_definite,
    reply_to,
)

TEN = datetime(2025, 5, 5, 10, tzinfo=UTC)
COMPLETED, FAILED, STUCK = Status.COMPLETED, Status.FAILED, Status.STUCK
ids = iter(range(10**9))


def report(status: Status, *, text: bool = True) -> End:
    return End(Kind.REPORT, status, TEN, text, f"row-{next(ids)}")


def verdict(status: Status = STUCK) -> End:
    return End(Kind.VERDICT, status, TEN, True, f"row-{next(ids)}")


def view_row(status: Status) -> Ended:
    result, error = ("an answer", None) if status is COMPLETED else (None, "an error")
    return Ended("d-1", "caller", "callee", status, result, error, TEN)


def test_id_of_a_reply_never_changes() -> None:
    assert event_id("d-1") == UUID("aba2c320-52b2-5a97-a482-16c081341a74")


def test_first_agreeing_report_with_a_text_is_sent() -> None:
    without, first, second = report(COMPLETED, text=False), report(COMPLETED), report(COMPLETED)
    assert chosen(COMPLETED, [without, first, second]) is first


def test_first_agreeing_report_is_sent_where_none_has_a_text() -> None:
    first, second = report(COMPLETED, text=False), report(COMPLETED, text=False)
    assert chosen(COMPLETED, [report(FAILED), first, second]) is first


def test_refused_report_is_not_sent_after_a_real_end() -> None:
    completed = report(COMPLETED, text=False)
    assert chosen(COMPLETED, [completed, report(FAILED), verdict()]) is completed


def test_report_is_preferred_to_the_text_of_a_later_verdict() -> None:
    failed = report(FAILED, text=False)
    assert chosen(FAILED, [failed, verdict(FAILED)]) is failed


@pytest.mark.parametrize("status", [STUCK, FAILED])
def test_late_answer_is_sent_instead_of_the_verdict(status: Status) -> None:
    answer = report(COMPLETED)
    assert chosen(status, [verdict(status), answer, report(FAILED)]) is answer


def test_text_of_a_late_answer_is_sent_where_it_came_second() -> None:
    second = report(COMPLETED)
    assert chosen(STUCK, [verdict(), report(COMPLETED, text=False), report(FAILED), second]) is second


def test_verdict_is_sent_where_no_answer_came() -> None:
    first = verdict()
    assert chosen(STUCK, [verdict(FAILED), first, verdict()]) is first


def test_nothing_is_chosen_where_no_end_agrees() -> None:
    assert chosen(COMPLETED, [report(FAILED), verdict()]) is None
    assert chosen(COMPLETED, []) is None


row_ids = st.uuids().map(str)
reports = st.builds(
    End, st.just(Kind.REPORT), st.sampled_from([COMPLETED, FAILED]), st.just(TEN), st.booleans(), row_ids
)
verdicts = st.builds(End, st.just(Kind.VERDICT), st.sampled_from([FAILED, STUCK]), st.just(TEN), st.booleans(), row_ids)


@given(st.sampled_from([COMPLETED, FAILED, STUCK]), st.lists(reports | verdicts, max_size=6))
def test_choice_keeps_its_promises(status: Status, ends: list[End]) -> None:
    end = chosen(status, ends)
    agreeing = [each for each in ends if each.status is status]
    real = [each for each in ends if each.kind is Kind.REPORT]
    if end is None:
        assert not agreeing
        assert status is not STUCK or not real
        return
    assert end in ends
    is_judged = status is STUCK or agreeing[0].kind is Kind.VERDICT
    if is_judged and real:
        assert (end.kind, end.status) == (Kind.REPORT, real[0].status), "the first answer decides"
    else:
        assert end.status is status
    if any(each.has_text for each in real if each.status is end.status):
        assert end.has_text, "a text that is known is sent"
    if end.kind is Kind.VERDICT:
        assert not real or status is FAILED


@given(st.sampled_from([COMPLETED, FAILED]), st.lists(reports | verdicts, min_size=1, max_size=5), reports | verdicts)
def test_later_end_of_another_status_changes_no_real_end(status: Status, ends: list[End], later: End) -> None:
    before = chosen(status, ends)
    agreeing = [each for each in ends if each.status is status]
    if agreeing and agreeing[0].kind is Kind.REPORT and later.status is not status:
        assert chosen(status, [*ends, later]) == before


def test_reply_has_the_preview_of_its_own_end_only() -> None:
    assert reply_to(view_row(STUCK), [verdict()]).preview == "an error"
    late = reply_to(view_row(STUCK), [verdict(), report(COMPLETED)])
    assert (late.status, late.preview, late.has_text) == (COMPLETED, None, True)
    assert reply_to(view_row(STUCK), [verdict(), report(FAILED)]).preview is None


def test_reply_without_an_end_is_what_the_view_has() -> None:
    reply = reply_to(view_row(COMPLETED), [])
    assert (reply.status, reply.row_id, reply.has_text, reply.preview) == (COMPLETED, None, True, "an answer")


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_delay_grows_to_a_quarter_of_an_hour(attempts: int, share: float) -> None:
    found = delay(attempts, share)
    assert timedelta(seconds=1) <= found <= LONGEST_DELAY
    assert found <= delay(attempts + 1, share)


def test_random_part_of_a_delay_is_at_most_a_half() -> None:
    assert (delay(3, 0), delay(3, 1)) == (timedelta(seconds=8), timedelta(seconds=4))
    assert delay(MOST_ATTEMPTS, 0) == LONGEST_DELAY


@pytest.mark.parametrize(
    ("state", "definite"),
    [("23503", True), ("22P02", True), ("40001", False), ("55P03", False), ("57014", False), ("42501", False)],
)
def test_errors_of_data_and_integrity_are_definite(state: str, definite: bool) -> None:
    assert is_definite(state) is definite
