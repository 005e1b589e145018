"""Verdict rows: what of them is used, and how they change a row (events/README.md, sections 3 and 4)."""

from typing import Any

import pytest
from builders import (
    at,
    dead_letter_of,
    fold_batches,
    given,
    heartbeat,
    log,
    outcome_of,
    row,
    split,
    translation_of,
    verdict,
)
from rows import CALLER, UNAVAILABLE_VALUE, answer, delegate, updated
from rows import at as iso
from rows import heartbeat as heartbeat_row
from rows import verdict as verdict_row

from projector.contract.facts import IN_FLIGHT, TERMINAL, Status, Verdict
from projector.domain.outcomes import Outcome


def body(**fields: object) -> dict[str, object]:
    return {"request_body": {"delegation_id": "d-1", "silent_since": iso(0)} | fields}


@pytest.mark.parametrize("status", [Status.STUCK, Status.FAILED])
def test_verdict_is_read_with_its_evidence(status: Status) -> None:
    value = verdict_row(5, status, silent=2, error_detail="silent", response_body={"error": "no", "text": "no"})
    assert translation_of(value).report == Verdict("d-1", status, at(5), at(2), "silent")
    assert translation_of(updated(value, 7)).report.at == at(7)


def test_failed_verdict_needs_no_evidence() -> None:
    assert translation_of(verdict_row(5, "failed", silent=None)).report == Verdict(
        "d-1", Status.FAILED, at(5), None, None
    )


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        *[({"status": each}, "status") for each in ("completed", "error", "timeout", "queued", "pending", None, 7)],
        (body(delegation_id=None), "request_body.delegation_id"),
        (body(delegation_id=""), "request_body.delegation_id"),
        (body(delegation_id=7), "request_body.delegation_id"),
        (body(silent_since=None), "request_body.silent_since"),
        (body(silent_since="lately"), "request_body.silent_since"),
        (body(silent_since=7), "request_body.silent_since"),
        (body(silent_since="") | {"status": "failed"}, "request_body.silent_since"),
        ({"request_body": None}, "request_body.delegation_id"),
        ({"request_body": UNAVAILABLE_VALUE}, "request_body"),
        ({"request_body": UNAVAILABLE_VALUE, "id": CALLER}, "request_body"),
        ({"error_detail": 7}, "error_detail"),
        ({"created_at": "garbage"}, "created_at"),
    ],
)
def test_malformed_verdict_is_a_dead_letter(columns: dict[str, Any], field: str) -> None:
    assert dead_letter_of(verdict_row(5) | columns)[0] == field


def test_other_columns_of_a_verdict_are_not_looked_at() -> None:
    odd = {"id": 7, "response_body": "{", "source_id": "x", "target_id": 7, "idempotency_key": 7, "workspace_id": []}
    assert outcome_of(verdict_row(5) | odd) is Outcome.PARKED


@pytest.mark.parametrize("before", sorted(IN_FLIGHT))
@pytest.mark.parametrize("status", [Status.STUCK, Status.FAILED])
def test_verdict_ends_a_delegation_that_stayed_silent(before: Status, status: Status) -> None:
    then = given(row(before), verdict(status, 20, silent=0, error="silent")).and_each_ended(Outcome.ADVANCED)
    then.and_the_row_is(row(status, updated_at=at(20), error_detail="silent"))


@pytest.mark.parametrize("before", sorted(IN_FLIGHT))
def test_verdict_on_older_evidence_is_stale(before: Status) -> None:
    given(row(before, updated_at=at(1)), verdict(minute=20, silent=0.99)).and_each_ended(Outcome.STALE)
    given(row(before), heartbeat(2), verdict(minute=20, silent=1)).and_each_ended(Outcome.HEARTBEAT, Outcome.STALE)
    given(row(before, updated_at=at(1)), verdict(minute=20, silent=1)).and_each_ended(Outcome.ADVANCED)
    given(row(before, updated_at=at(1)), verdict(Status.FAILED, 20, silent=None)).and_each_ended(Outcome.ADVANCED)


def test_time_of_a_row_never_goes_back() -> None:
    then = given(row(updated_at=at(9)), verdict(minute=3, silent=9))
    then.and_the_row_is(row(Status.STUCK, updated_at=at(9)))


@pytest.mark.parametrize("before", sorted(TERMINAL))
def test_verdict_on_a_terminal_row_is_as_a_status(before: Status) -> None:
    ended = row(before, updated_at=at(9), error_detail=None if before is Status.COMPLETED else "known")
    same = Outcome.DUPLICATE if before is Status.STUCK else Outcome.REFUSED
    given(ended, verdict(minute=20, silent=0, error="silent")).and_each_ended(same).and_the_row_is(ended)


def test_verdict_fills_an_empty_error() -> None:
    then = given(row(Status.STUCK, updated_at=at(9)), verdict(minute=20, silent=0, error="silent"))
    then.and_each_ended(Outcome.FILLED).and_the_row_is(row(Status.STUCK, updated_at=at(20), error_detail="silent"))


EARLY = [verdict_row(20, silent=0, error_detail="silent"), heartbeat_row(5), verdict_row(21, "failed", silent=None)]


@pytest.mark.parametrize("place", range(len(EARLY) + 2))
def test_parked_verdict_is_judged_when_its_request_comes(place: int) -> None:
    records = log(*EARLY, delegate(0))
    memory = fold_batches(*split(records, [place]), *split(records, [place]))
    assert (memory.rows["d-1"].status, memory.rows["d-1"].error_detail) == (Status.STUCK, "silent")
    late = log(*EARLY[:2], delegate(1), answer(25, "completed", text="here"))
    memory = fold_batches(*split(late, [place]), *split(late, [place]))
    assert memory.rows["d-1"].status is Status.COMPLETED, "the request is later than the evidence"
