"""Which dead letter is the request of a delegation, and whether the two orders of partitions can differ."""

import json
from typing import Any

import pytest
from builders import record
from rows import CALLER, answer, delegate, heartbeat, updated

from projector.contract.facts import Status
from projector.domain.fold import DeadLetter
from projector.explain.dead_letters import related_letters
from projector.explain.order import is_order_decisive
from projector.explain.search import Match, Search
from projector.explain.timeline import build_timeline

WRONG = delegate(0, "wrong")
BODY = {"delegation_id": "d-1", "task": "t"}


def is_request(value: object) -> list[bool | None]:
    dead = record(value, 0)
    letters = related_letters("d-1", [Match(dead, DeadLetter(dead, "a reason", None))], [])
    return [letter.is_request for letter in letters]


@pytest.mark.parametrize(
    "value",
    [
        WRONG,
        WRONG | {"request_body": json.dumps(BODY)},
        updated(WRONG, 1),
        {"schema": None, "payload": updated(WRONG, 1)},
        {"specversion": "1.0", "data": WRONG},
        {"specversion": "1.0", "data": json.dumps(WRONG)},
        json.dumps(WRONG),
        WRONG | {"method": "delegat"},
        delegate(0),
    ],
)
def test_request_is_recognised_in_each_envelope(value: object) -> None:
    assert is_request(value) == [True]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (answer(1, "wrong"), [False]),
        ({**heartbeat(1), "created_at": 7}, [False]),
        (WRONG | {"request_body": BODY | {"delegation_id": "d-2"}}, [False]),
        (WRONG | {"request_body": BODY | {"delegation_id": 1}}, [None]),
        (WRONG | {"request_body": "{"}, [None]),
        (WRONG | {"method": "none", "request_body": {"delegation_id": "d-1"}}, [None]),
        (b"d-1", [None]),
        ({"summary": "d-1"}, [None]),
        (answer(1, "completed", of="d-2"), []),
    ],
)
def test_other_records_are_not_taken_for_the_request(value: object, expected: list[bool | None]) -> None:
    assert is_request(value) == expected


def decides(stored_status: Status | None, *values: tuple[int, Any]) -> bool:
    search = Search("d-1", keys=[(CALLER, "k")])
    search.scan(record(value, offset, partition=partition) for offset, (partition, value) in enumerate(values))
    folded = build_timeline("d-1", search.matches).row
    stored = folded and folded._replace(status=stored_status) if stored_status else None
    return is_order_decisive(search, stored, folded)


def test_order_decides_between_two_ends_in_two_partitions() -> None:
    ends = (0, delegate(0)), (1, answer(1, "completed")), (2, answer(2, "failed"))
    assert decides(Status.FAILED, *ends)
    assert not decides(Status.COMPLETED, *ends)
    assert not decides(Status.FAILED, *((0, value) for _, value in ends))
    assert not decides(Status.FAILED, (0, delegate(0)), (1, answer(1, "completed")))
    assert not decides(None, *ends)


def test_order_decides_about_a_verdict() -> None:
    body = {"delegation_id": "d-1", "silent_since": "2025-05-05T10:00:00Z"}
    verdict = {**heartbeat(3), "method": "verdict", "status": "stuck", "request_body": body}
    assert decides(Status.QUEUED, (0, delegate(0)), (1, verdict))


def test_order_decides_who_holds_a_key() -> None:
    mine = delegate(0, idempotency_key="k")
    other = delegate(1, idempotency_key="k", request_body={"delegation_id": "d-2", "task": "t"})
    assert decides(None, (0, mine), (1, other))
    assert not decides(None, (0, mine), (0, other))
