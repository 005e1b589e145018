"""The model of the push: which ends of a log must be told, with which reply, and what is wrong in the inboxes."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from rows import CALLEE, CALLER, TEN, answer, delegate, heartbeat, record_at, updated, verdict

from testbed.oracle import InboxRow, Reply, SwitchedOn, Told, ends_to_tell, inbox_differences

ON = SwitchedOn(TEN, {})
GRACE = timedelta(seconds=30)


def at(minute: float, second: float = 0) -> datetime:
    return TEN + timedelta(minutes=minute, seconds=second)


def ms(minute: float) -> int:
    return int(at(minute).timestamp() * 1000)


def told(
    *values: Any, switched_on: SwitchedOn = ON, timestamp: int | None = None, until: float = 60
) -> dict[str, Told]:
    log = [record_at(offset, value, timestamp) for offset, value in enumerate(values)]
    return ends_to_tell(log, switched_on, now=at(until), grace=GRACE)


def replies(*values: Any) -> tuple[Reply, ...]:
    return told(*values, until=1000)["d-1"].replies


# --- which ends


@pytest.mark.parametrize("status", ["completed", "failed", "stuck"])
def test_every_terminal_status_is_told(status: str) -> None:
    assert told(delegate(0), answer(1, status)).keys() == {"d-1"}


def test_delegation_in_flight_is_not_told() -> None:
    assert told(delegate(0, "dispatched"), heartbeat(1), answer(2, "in_progress")) == {}


def test_end_before_the_position_is_not_told() -> None:
    log = delegate(0), answer(1, "completed")
    assert told(*log, switched_on=SwitchedOn(TEN, {0: 2})) == {}
    assert told(*log, switched_on=SwitchedOn(TEN, {0: 1, 1: 9})).keys() == {"d-1"}


def test_end_outside_the_window_is_not_told() -> None:
    assert told(delegate(-60), answer(-6, "completed")) == {}
    assert told(delegate(-60), answer(-5, "completed")).keys() == {"d-1"}
    assert told(delegate(-60), answer(65, "completed")).keys() == {"d-1"}
    assert told(delegate(-60), answer(66, "completed")) == {}


def test_snapshot_of_an_old_end_is_not_told() -> None:
    snapshot = {"op": "r", "before": None, "after": delegate(-60, "completed"), "source": {"ts_ms": ms(1)}}
    assert told(snapshot, timestamp=ms(1)) == {}


def test_bare_row_updated_in_place_counts_by_its_record() -> None:
    log = delegate(-60), delegate(-60, "completed")
    assert told(*log, timestamp=ms(1)).keys() == {"d-1"}
    assert told(*log, timestamp=ms(-6)) == {}
    assert told(*log) == {}


def test_change_event_counts_by_its_own_time() -> None:
    assert told(delegate(-60), updated(delegate(-60, "completed"), 1), timestamp=ms(-6)).keys() == {"d-1"}


def test_refused_end_alone_is_not_told() -> None:
    """The end that stands is history; a later, different one is refused."""
    log = delegate(0), answer(1, "completed"), answer(2, "failed")
    assert told(*log, switched_on=SwitchedOn(TEN, {0: 2})) == {}


def test_agreeing_duplicate_of_an_old_end_is_told() -> None:
    log = delegate(0), answer(1, "completed", text="done"), answer(2, "completed", text="done")
    assert told(*log, switched_on=SwitchedOn(TEN, {0: 2})).keys() == {"d-1"}


def test_stale_verdict_is_not_told() -> None:
    assert told(delegate(0), heartbeat(5), verdict(9, silent=3)) == {}


def test_parked_end_is_told_with_its_request() -> None:
    assert told(answer(1, "completed", text="early"), delegate(0))["d-1"].replies[-1].text == "early"


def test_refused_parked_end_is_not_told() -> None:
    assert told(answer(-10, "completed"), answer(2, "failed"), delegate(-20)) == {}


def test_request_that_is_terminal_at_once_is_told() -> None:
    assert replies(delegate(0, "failed", error_detail="refused"))[-1][:2] == ("error", "refused")


def test_repeated_request_is_not_told() -> None:
    log = [delegate(n, idempotency_key="k", request_body={"delegation_id": f"d-{n}"}) for n in (1, 2)]
    assert told(*log, answer(3, "completed", of="d-2")) == {}


# --- which reply


def test_answer_is_told_two_seconds_after_it() -> None:
    reply = Reply("ok", "done", at(1, 2))
    assert told(delegate(0), answer(1, "completed", text="done")) == {"d-1": Told(CALLER, CALLEE, (reply,))}


def test_error_is_told_as_its_text() -> None:
    assert replies(delegate(0), answer(1, "failed", error="broken")) == (Reply("error", "broken", at(1, 2)),)


def test_text_that_follows_the_status_is_awaited() -> None:
    log = delegate(0), answer(1, "completed"), answer(1, "completed", text="done")
    assert replies(*log) == (Reply("ok", "", at(1, 30)), Reply("ok", "done", at(1, 2)))


def test_error_that_follows_the_status_delays_nothing() -> None:
    log = delegate(0), answer(1, "failed"), answer(2, "failed", error="broken")
    assert replies(*log) == (Reply("error", "", at(1, 2)), Reply("error", "broken", at(1, 2)))


def test_first_text_is_told() -> None:
    log = delegate(0), answer(1, "completed", text="one"), answer(2, "completed", text="two")
    assert {reply.text for reply in replies(*log)} == {"one"}


def test_different_end_after_an_answer_changes_nothing() -> None:
    log = delegate(0), answer(1, "completed", text="done"), answer(2, "failed", error="late")
    assert {reply[:2] for reply in replies(*log)} == {("ok", "done")}


def test_verdict_is_told_at_the_deadline() -> None:
    log = delegate(0), heartbeat(1), verdict(12, silent=1, error_detail="silent")
    assert replies(*log) == (Reply("error", "silent", at(360, 30)),)


def test_verdict_after_the_deadline_is_told_a_minute_after_it() -> None:
    assert replies(delegate(0), verdict(400, "failed", silent=None))[-1].due_at == at(401)


def test_verdict_is_told_within_a_day() -> None:
    body = {"delegation_id": "d-1", "deadline": at(5000).isoformat()}
    assert replies(delegate(0, request_body=body), verdict(12, silent=1))[-1].due_at == at(12 + 24 * 60)


def test_answer_after_a_verdict_is_told_at_once_instead() -> None:
    log = delegate(0), heartbeat(1), verdict(12, silent=1, error_detail="silent"), answer(20, "completed", text="late")
    assert replies(*log)[-1] == Reply("ok", "late", at(20))
    assert replies(*log)[0][:2] == ("error", "silent")


def test_report_of_stuck_is_a_verdict() -> None:
    log = delegate(0), answer(1, "stuck", error="no sign"), answer(2, "failed", error="broken")
    assert [reply.text for reply in replies(*log)] == ["no sign", "broken"]


# --- the inboxes

EXPECTED = {"d-1": Told(CALLER, CALLEE, (Reply("ok", "", at(1, 30)), Reply("ok", "done", at(1, 2))))}


def reply(**columns: Any) -> InboxRow:
    row = InboxRow("d-1", CALLER, CALLEE, "ok", "done", None, False, at(2))
    return row._replace(**columns)


def test_right_reply_has_no_difference() -> None:
    assert inbox_differences(EXPECTED, [reply()]) == []
    assert inbox_differences(EXPECTED, [reply(text="")]) == []


@pytest.mark.parametrize(
    ("inbox", "difference"),
    [
        ([], "no reply"),
        ([reply(), reply(created_at=at(3))], "2 replies"),
        ([reply(), reply(delegation_id="d-2")], "d-2: a reply of"),
        ([reply(workspace_id=CALLEE)], "expected from"),
        ([reply(target_id=None)], "expected from"),
        ([reply(text="another")], "expected ok '' or ok 'done'"),
        ([reply(status="error")], "the reply is error"),
        ([reply(created_at=at(1, 1))], "due at"),
        ([reply(text="", created_at=at(1, 3))], "due at"),
    ],
)
def test_wrong_inbox_is_described(inbox: list[InboxRow], difference: str) -> None:
    assert any(difference in each for each in inbox_differences(EXPECTED, inbox)), inbox_differences(EXPECTED, inbox)


def test_error_stands_in_text_and_detail() -> None:
    expected = {"d-1": Told(CALLER, CALLEE, (Reply("error", "broken", at(1)),))}
    row = reply(status="error", text="broken", error_detail="broken")
    assert inbox_differences(expected, [row]) == []
    assert "error_detail is None" in inbox_differences(expected, [row._replace(error_detail=None)])[0]
