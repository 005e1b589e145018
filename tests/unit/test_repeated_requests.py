"""Repeated requests: another delegation holds their key. They are remembered and decide nothing."""

from typing import Any

import pytest
from builders import CALLEE, InMemoryView, at, fold_batches, log, split
from rows import answer, delegate

from projector.domain.fold import RepeatedRequest


def request(minute: int, delegation_id: str, key: str | None = "k", **columns: Any) -> dict[str, Any]:
    return delegate(minute, request_body={"delegation_id": delegation_id}, idempotency_key=key, **columns)


RECORDS = log(
    request(0, "d-1"), request(1, "d-2"), answer(2, "completed", of="d-2"), request(3, "d-2", status="dispatched"),
    request(4, "d-3"), request(5, "d-4", source_id=CALLEE), request(6, "d-1"),
)  # fmt: skip


def repeated_of(memory: InMemoryView) -> list[RepeatedRequest]:
    return list(memory.repeated.values())


@pytest.mark.parametrize("place", range(len(RECORDS) + 1))
def test_first_repeated_request_of_a_delegation_is_remembered(place: int) -> None:
    memory = fold_batches(*split(RECORDS, [place]), *split(RECORDS, [place]))
    assert repeated_of(memory) == [
        RepeatedRequest("d-2", "d-1", "activity-log", 0, 1, at(1)),
        RepeatedRequest("d-3", "d-1", "activity-log", 0, 4, at(4)),
    ]
    assert list(memory.rows) == ["d-1", "d-4"]
    assert [each.event.delegation_id for each in memory.parked.values()] == ["d-2"]


def test_repeated_request_decides_nothing() -> None:
    memory = fold_batches(RECORDS, log(request(9, "d-2", key=None)))
    assert memory.rows["d-2"].status == "completed", "a request with another key makes the row"
    assert "d-2" in memory.repeated, "the first memory stands"


@pytest.mark.parametrize("place", range(4))
def test_request_that_loses_its_key_changes_no_row_that_is_there(place: int) -> None:
    records = log(request(0, "d-1"), request(1, "d-2", key=None), request(2, "d-2", status="completed"))
    memory = fold_batches(*split(records, [place]), *split(records, [place]))
    assert (memory.rows["d-2"].status, memory.rows["d-2"].idempotency_key) == ("queued", None)
    assert repeated_of(memory) == [], "it has a row"


@pytest.mark.parametrize("place", range(4))
def test_request_for_a_row_that_is_there_takes_no_key(place: int) -> None:
    records = log(request(0, "d-1", key=None), request(1, "d-1"), request(2, "d-2"))
    memory = fold_batches(*split(records, [place]), *split(records, [place]))
    assert {row.delegation_id: row.idempotency_key for row in memory.rows.values()} == {"d-1": None, "d-2": "k"}


def test_request_that_repeats_itself_is_not_remembered() -> None:
    assert repeated_of(fold_batches(log(request(0, "d-1"), request(1, "d-1")))) == []
