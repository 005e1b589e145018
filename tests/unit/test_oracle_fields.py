"""How the oracle reads times, ids and omitted bodies (events/README.md, sections 2 and 3)."""

from datetime import datetime, timedelta

import pytest
from rows import (
    CALLER,
    TEN,
    UNAVAILABLE_VALUE,
    answer,
    delegate,
    fold_values,
    heartbeat,
    outcome_of,
    updated,
    verdict,
)

from testbed.oracle.fields import Unreadable, column_time

TEN_MS = 1_746_439_200_000


# --- times


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (10**11, datetime.fromisoformat("1973-03-03T09:46:40Z")),
        (TEN_MS, TEN),
        (10**14 - 1, datetime.fromisoformat("5138-11-16T09:46:39.999Z")),
        (TEN_MS * 1000 + 1, TEN + timedelta(microseconds=1)),
        (10**17 - 1, datetime.fromisoformat("5138-11-16T09:46:39.999999Z")),
        (TEN_MS * 10**6 + 1999, TEN + timedelta(microseconds=1)),
        (10**20 - 1, datetime.fromisoformat("5138-11-16T09:46:39.999999Z")),
        ("2025-05-05T10:00:00", TEN),
        ("2025-05-05 12:00:00.0000009+02", TEN),
        ("20250505T100000Z", TEN),
    ],
)
def test_time_is_a_text_or_a_whole_number(content: object, expected: datetime) -> None:
    assert column_time(content) == expected


@pytest.mark.parametrize(
    "content",
    [
        *(10**11 - 1, 10**20, -TEN_MS, float(TEN_MS), True, str(TEN_MS), "", [], "infinity"),
        *("2025-05-05T24:00:00Z", "2016-12-31T23:59:60Z", "2025-05-05T10:00:005Z", "2025-05-05T10:00:00+01:60"),
        *("0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "0000-01-01T00:00:00Z", "2025-02-29"),
    ],
)
def test_any_other_time_is_malformed(content: object) -> None:
    with pytest.raises(Unreadable):
        column_time(content)


def test_numbers_are_times_in_every_column() -> None:
    body = {"delegation_id": "d-1", "deadline": TEN_MS * 1000}
    judged = {"delegation_id": "d-1", "silent_since": TEN_MS * 10**6}
    row = delegate(0, created_at=TEN_MS, request_body=body)
    outcomes, rows = fold_values({"specversion": "1.0", "data": row, "time": TEN_MS}, verdict(1, request_body=judged))
    assert outcomes == ["inserted", "advanced"]
    assert (rows["d-1"].created_at, rows["d-1"].deadline) == (TEN, TEN)


# --- ids, keys and omitted bodies


@pytest.mark.parametrize("hostile", ["d\x00", "\ud800", "d" * 513, "é" * 257, 7, ["d"]])
def test_id_that_postgres_cannot_store_is_dead_letter(hostile: object) -> None:
    assert outcome_of(delegate(0, request_body={"delegation_id": hostile})) == "dead_letter"
    assert outcome_of(delegate(0, idempotency_key=hostile)) == "dead_letter"
    assert outcome_of(heartbeat(0) | {"request_body": {"delegation_id": hostile}}) == "dead_letter"


def test_ids_are_compared_as_they_came() -> None:
    ids = ["d-1", "D-1", "d-1 ", " d-1", "\ufffd", "é", "e\u0301"]
    assert list(fold_values(*(delegate(0, request_body={"delegation_id": each}) for each in ids))[1]) == ids


@pytest.mark.parametrize("caller", [f"{{{CALLER}}}", f"urn:uuid:{CALLER}", CALLER.replace("-", ""), f"{CALLER}\n", ""])
def test_uuid_is_its_36_characters(caller: str) -> None:
    assert outcome_of(delegate(0, source_id=caller)) == "dead_letter"
    assert fold_values(delegate(0, source_id=CALLER.upper()))[1]["d-1"].caller_id == CALLER


def test_omitted_body_needs_the_earlier_row_even_if_another_field_has_the_id() -> None:
    named = {"request_body": {"delegation_id": "d-1"}, "response_body": UNAVAILABLE_VALUE}
    assert outcome_of(answer(1, "in_progress") | named) == "dead_letter"
    large = answer(1, "in_progress", id=CALLER, text="t" * 1600)
    outcomes, rows = fold_values(delegate(0), large, answer(2, "completed", id=CALLER.upper()) | named)
    assert outcomes == ["inserted", "advanced", "advanced"]
    assert rows["d-1"].result_preview is None


def test_body_that_no_rule_reads_may_be_omitted() -> None:
    assert outcome_of(delegate(0, "dispatched", response_body=UNAVAILABLE_VALUE)) == "inserted"
    assert outcome_of(delegate(0, "failed", error_detail="x", response_body=UNAVAILABLE_VALUE)) == "inserted"
    assert outcome_of(answer(0, "completed") | {"request_body": UNAVAILABLE_VALUE}) == "parked"


@pytest.mark.parametrize("row_id", ["no uuid", 7, None, CALLER.replace("-", "")])
def test_row_whose_id_is_no_uuid_is_not_remembered(row_id: object) -> None:
    large = delegate(0, id=row_id, request_body={"delegation_id": "d-1", "task": "t" * 2000})
    assert fold_values(large, delegate(1, id=row_id, request_body=UNAVAILABLE_VALUE))[0] == ["inserted", "dead_letter"]


def test_dead_letter_changes_nothing() -> None:
    """A row whose callee is malformed is not remembered, though it is large."""
    large = delegate(0, id=CALLER, target_id="nobody", request_body={"delegation_id": "d-1", "task": "t" * 2000})
    outcomes, _ = fold_values(large, delegate(1, id=CALLER, request_body=UNAVAILABLE_VALUE))
    assert outcomes == ["dead_letter", "dead_letter"]


def test_unknown_status_is_a_dead_letter_before_anything_else() -> None:
    assert outcome_of(answer(0, "done", response_body=None)) == "dead_letter"
    assert outcome_of(updated(delegate(0, "done", request_body=UNAVAILABLE_VALUE), 1)) == "dead_letter"
