"""The oracle's fold of verdicts and of requests that repeat a key (events/README.md, section 4)."""

from datetime import timedelta

import pytest
from rows import (
    TEN,
    UNAVAILABLE_VALUE,
    Columns,
    answer,
    at,
    delegate,
    fold_values,
    heartbeat,
    outcome_of,
    record_at,
    verdict,
)

from testbed.oracle import Oracle, fold_in_order


def asked(minute: int, delegation_id: str, status: str = "pending", *, key: str | None = "k") -> Columns:
    return delegate(minute, status, request_body={"delegation_id": delegation_id}, idempotency_key=key)


# --- verdicts


def test_verdict_advances_a_row_without_a_later_sign_of_life() -> None:
    outcomes, rows = fold_values(
        delegate(0), heartbeat(3), verdict(9, "stuck", silent=3, error_detail="silent"), answer(10, "completed")
    )
    assert outcomes == ["inserted", "heartbeat", "advanced", "refused"]
    assert (rows["d-1"].status, rows["d-1"].error_detail) == ("stuck", "silent")
    assert rows["d-1"].updated_at == TEN + timedelta(minutes=9)


@pytest.mark.parametrize("status", ["stuck", "failed"])
def test_verdict_is_stale_after_a_later_sign_of_life(status: str) -> None:
    outcomes, rows = fold_values(delegate(0), heartbeat(4), verdict(9, status, silent=3))
    assert outcomes == ["inserted", "heartbeat", "stale"]
    assert (rows["d-1"].status, rows["d-1"].updated_at) == ("queued", TEN + timedelta(minutes=4))


def test_evidence_that_was_cut_is_stale() -> None:
    beat = heartbeat(4) | {"created_at": "2025-05-05T10:04:00.000001Z"}
    assert fold_values(delegate(0), beat, verdict(9, "stuck", silent=4))[0][-1] == "stale"


def test_failed_verdict_without_evidence_is_a_plain_status() -> None:
    outcomes, _ = fold_values(delegate(0), heartbeat(4), verdict(1, "failed", silent=None))
    assert outcomes == ["inserted", "heartbeat", "advanced"]


def test_verdict_never_moves_updated_at_back() -> None:
    _, rows = fold_values(delegate(5), verdict(1, "stuck", silent=5))
    assert rows["d-1"].updated_at == TEN + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("final", "error", "outcome"),
    [
        ("failed", None, "filled"),
        ("failed", "broke", "duplicate"),
        ("stuck", None, "refused"),
        ("completed", None, "refused"),
    ],
)
def test_verdict_after_the_end_is_as_a_status(final: str, error: str | None, outcome: str) -> None:
    ended = answer(1, final, error_detail=error)
    outcomes, rows = fold_values(delegate(0), ended, verdict(9, "failed", silent=0, error_detail="silent"))
    assert outcomes == ["inserted", "advanced", outcome]
    assert rows["d-1"].status == final


def test_verdict_is_parked_with_its_evidence() -> None:
    expected = fold_in_order([record_at(0, verdict(9, "stuck", silent=3)), record_at(1, heartbeat(1))])
    assert [(each.offset, each.event.kind, each.event.silent_since) for each in expected.parked_events] == [
        (0, "verdict", TEN + timedelta(minutes=3)),
        (1, "heartbeat", None),
    ]


@pytest.mark.parametrize(("silent_since", "status"), [(0, "dispatched"), (1, "stuck")])
def test_parked_verdict_is_compared_with_the_new_row(silent_since: int, status: str) -> None:
    outcomes, rows = fold_values(verdict(9, "stuck", silent=silent_since), delegate(1, "dispatched"))
    assert outcomes == ["parked", "inserted"]
    assert rows["d-1"].status == status


def test_verdict_needs_only_the_columns_that_it_uses() -> None:
    unused: Columns = {"response_body": "{", "target_id": 7, "idempotency_key": [], "workspace_id": None, "id": 0}
    outcomes, rows = fold_values(delegate(0), verdict(1, "failed", silent=None, **unused))
    assert outcomes == ["inserted", "advanced"]
    assert rows["d-1"].error_detail is None


def test_error_of_a_body_is_no_error_of_a_verdict() -> None:
    _, rows = fold_values(delegate(0), verdict(1, "failed", silent=0, response_body={"error": "unused"}))
    assert rows["d-1"].error_detail is None


@pytest.mark.parametrize(
    "row",
    [
        *(verdict(0, status, silent=0) for status in ("completed", "error", "timeout", "queued", "nonsense")),
        verdict(0, "stuck", silent=None),
        verdict(0, "failed", silent=0, request_body={"silent_since": at(0)}),
        verdict(0, "failed", silent=0, request_body={"delegation_id": "d-1", "silent_since": "soon"}),
        verdict(0, "stuck", silent=0, request_body={"delegation_id": "d-1", "silent_since": ""}),
        verdict(0, "failed", silent=0, request_body=UNAVAILABLE_VALUE),
        verdict(0, "failed", silent=0, error_detail=7),
        verdict(0, "failed", silent=0, created_at="soon"),
    ],
)
def test_incomplete_verdict_is_dead_letter(row: Columns) -> None:
    assert outcome_of(row) == "dead_letter"


# --- repeated requests


def test_repeated_request_is_remembered_with_its_holder() -> None:
    log = [
        asked(0, "d-1"),
        asked(1, "d-2", "failed"),
        asked(2, "d-2"),
        asked(3, "d-3"),
        answer(4, "completed", of="d-2"),
    ]
    expected = fold_in_order(record_at(offset, row) for offset, row in enumerate(log))
    assert {key: tuple(each)[1:] for key, each in expected.repeated.items()} == {
        "d-2": ("d-1", "activity-log", 0, 1, TEN + timedelta(minutes=1)),
        "d-3": ("d-1", "activity-log", 0, 3, TEN + timedelta(minutes=3)),
    }
    assert expected.parked == {"d-2": 1}
    assert list(expected.rows) == ["d-1"]


def test_request_for_the_holder_is_not_repeated() -> None:
    oracle = Oracle()
    outcomes = [oracle.apply(record_at(n, asked(n, "d-1", status))) for n, status in enumerate(["pending", "failed"])]
    assert outcomes == ["inserted", "advanced"]
    assert oracle.expected().repeated == {}


def test_request_of_a_delegation_with_a_row_is_not_remembered() -> None:
    log = [asked(0, "d-2", key="k-2"), asked(1, "d-1"), asked(2, "d-2")]
    expected = fold_in_order(record_at(offset, row) for offset, row in enumerate(log))
    assert (expected.outcomes, expected.repeated) == ({"inserted": 2, "duplicate": 1}, {})


def test_request_with_the_key_of_another_row_is_a_duplicate_as_a_whole() -> None:
    """Otherwise a second reading of the log applied a status that the first one dropped."""
    log = [asked(0, "d-1"), asked(1, "d-2", "failed"), asked(2, "d-2", key="k-2")]
    outcomes, rows = fold_values(*log, *log)
    assert outcomes == ["inserted", "duplicate", "inserted", "duplicate", "duplicate", "duplicate"]
    assert rows["d-2"].status == "queued"


def test_event_is_parked_once_however_often_it_is_read() -> None:
    parked = record_at(0, heartbeat(1))
    assert fold_in_order([parked, parked]).parked == {"d-1": 1}
    assert fold_in_order([parked, parked._replace(offset=1)]).parked == {"d-1": 2}
