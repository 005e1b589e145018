"""The oracle's fold of short logs written by hand (events/README.md, section 4)."""

from datetime import timedelta

import pytest
from rows import CALLEE, CALLER, TEN, Columns, answer, delegate, fold_values, heartbeat, record_at

from testbed.oracle import Row, differences, fold_log


def test_request_inserts_queued_row() -> None:
    outcomes, rows = fold_values(delegate(0, idempotency_key="k"))
    assert outcomes == ["inserted"]
    assert rows == {
        "d-1": Row(
            delegation_id="d-1",
            caller_id=CALLER,
            callee_id=CALLEE,
            task_preview="count to three",
            status="queued",
            last_heartbeat=None,
            deadline=TEN + timedelta(hours=6),
            result_preview=None,
            error_detail=None,
            retry_count=0,
            created_at=TEN,
            updated_at=TEN,
            idempotency_key="k",
        )
    }


def test_higher_rank_advances_status_and_updated_at() -> None:
    outcomes, rows = fold_values(delegate(0), delegate(1, "dispatched"), answer(2, "completed", text="1 2 3"))
    assert outcomes == ["inserted", "advanced", "advanced"]
    row = rows["d-1"]
    assert (row.status, row.result_preview, row.updated_at) == ("completed", "1 2 3", TEN + timedelta(minutes=2))


def test_error_needs_failed_and_text_needs_completed() -> None:
    _, rows = fold_values(delegate(0), answer(1, "timeout", text="half", error_detail="too slow"))
    assert (rows["d-1"].status, rows["d-1"].result_preview, rows["d-1"].error_detail) == ("failed", None, "too slow")


def test_error_detail_comes_before_error_of_body() -> None:
    _, rows = fold_values(delegate(0), answer(1, "stuck", error="in the body", error_detail=""))
    assert rows["d-1"].error_detail == "in the body"


def test_same_status_in_flight_is_duplicate() -> None:
    outcomes, rows = fold_values(delegate(0), delegate(1), answer(2, "in_progress"), answer(3, "delivered"))
    assert outcomes == ["inserted", "duplicate", "advanced", "duplicate"]
    assert rows["d-1"].updated_at == TEN + timedelta(minutes=2)


def test_lower_rank_is_stale_in_flight() -> None:
    outcomes, rows = fold_values(delegate(0, "in_progress"), delegate(1, "dispatched"), delegate(2, "queued"))
    assert outcomes == ["inserted", "stale", "stale"]
    assert rows["d-1"].status == "in_progress"


@pytest.mark.parametrize("late", ["queued", "dispatched", "in_progress", "completed", "stuck"])
def test_other_status_is_refused_after_failed(late: str) -> None:
    outcomes, rows = fold_values(delegate(0), answer(1, "failed"), answer(2, late, text="too late"))
    assert outcomes == ["inserted", "advanced", "refused"]
    assert rows["d-1"].status == "failed"


def test_empty_preview_is_filled_once() -> None:
    late, later = answer(2, "completed", text="three"), answer(3, "completed", text="four")
    outcomes, rows = fold_values(delegate(0), answer(1, "completed", text=""), late, later)
    assert outcomes == ["inserted", "advanced", "filled", "duplicate"]
    assert (rows["d-1"].result_preview, rows["d-1"].updated_at) == ("three", TEN + timedelta(minutes=2))


def test_empty_error_is_filled_once() -> None:
    outcomes, rows = fold_values(
        delegate(0, "stuck"), answer(1, "stuck", error="why"), answer(2, "stuck", error="or else")
    )
    assert outcomes == ["inserted", "filled", "duplicate"]
    assert rows["d-1"].error_detail == "why"


def test_heartbeats_apply_in_flight_and_never_go_back() -> None:
    outcomes, rows = fold_values(delegate(0), heartbeat(5), heartbeat(3), answer(6, "failed"), heartbeat(7))
    assert outcomes == ["inserted", "heartbeat", "heartbeat", "advanced", "refused"]
    assert rows["d-1"].last_heartbeat == TEN + timedelta(minutes=5)
    assert rows["d-1"].updated_at == TEN + timedelta(minutes=6)


def test_updated_at_never_goes_back() -> None:
    _, rows = fold_values(delegate(5), answer(1, "completed", text="early clock"))
    assert rows["d-1"].updated_at == TEN + timedelta(minutes=5)


def test_parked_events_apply_before_status_of_request() -> None:
    outcomes, rows = fold_values(
        heartbeat(1), answer(2, "completed", text="first"), delegate(3, "failed", error_detail="last")
    )
    assert outcomes == ["parked", "parked", "inserted"]
    row = rows["d-1"]
    assert (row.status, row.error_detail, row.last_heartbeat) == ("completed", None, TEN + timedelta(minutes=1))
    assert row.created_at == row.updated_at == TEN + timedelta(minutes=3)


def test_events_that_stay_parked_are_counted() -> None:
    expected = fold_log([record_at(0, heartbeat(0, of="never")), record_at(1, heartbeat(1, of="never"))])
    assert (expected.rows, expected.parked) == ({}, {"never": 2})


def test_second_request_with_same_key_is_duplicate() -> None:
    again: Columns = {"request_body": {"delegation_id": "d-2"}, "idempotency_key": "k"}
    outcomes, rows = fold_values(
        delegate(0, idempotency_key="k"), delegate(1, "failed", **again), answer(2, "completed", of="d-2")
    )
    assert outcomes == ["inserted", "duplicate", "parked"]
    assert list(rows) == ["d-1"]


def test_other_caller_can_use_same_key() -> None:
    other: Columns = {"request_body": {"delegation_id": "d-2"}, "source_id": CALLEE.upper()}
    outcomes, rows = fold_values(delegate(0, idempotency_key="k"), delegate(1, idempotency_key="k", **other))
    assert outcomes == ["inserted", "inserted"]
    assert rows["d-2"].caller_id == CALLEE


def test_empty_key_is_none() -> None:
    other: Columns = {"request_body": {"delegation_id": "d-2"}}
    assert fold_values(delegate(0, idempotency_key=""), delegate(1, idempotency_key="", **other))[0] == ["inserted"] * 2


def test_repeated_records_change_nothing() -> None:
    log = [delegate(0), delegate(1, "dispatched"), answer(2, "completed", text="done")]
    outcomes, rows = fold_values(*log, *log)
    assert outcomes[3:] == ["refused", "refused", "duplicate"]
    assert rows == fold_values(*log)[1]


def test_records_are_folded_by_offset() -> None:
    log = [record_at(0, delegate(0)), record_at(1, answer(1, "failed")), record_at(2, answer(2, "completed"))]
    assert fold_log(reversed(log)).rows["d-1"].status == "failed"


def test_previews_are_cut_between_characters() -> None:
    long = {"delegation_id": "d-1", "task": "x" + "é" * 3000}
    _, rows = fold_values(delegate(0, request_body=long), answer(1, "completed", text="a\x00b\ud800"))
    assert rows["d-1"].task_preview == "x" + "é" * 2047
    assert rows["d-1"].result_preview == "a\ufffdb\ufffd"


def test_differences_name_row_and_column() -> None:
    expected = fold_values(delegate(0), delegate(0, request_body={"delegation_id": "d-2"}))[1]
    stored = fold_values(delegate(0, "failed"), delegate(0, request_body={"delegation_id": "d-3"}))[1]
    assert differences(expected, stored) == [
        "d-1: status is 'failed', expected 'queued'",
        "d-2: missing in the table",
        "d-3: not in the log",
    ]
    assert differences(expected, expected) == []
