"""What `explain` finds odd about a record that can be read."""

from typing import Any

import pytest
from builders import record
from rows import TEN, UNAVAILABLE_VALUE, answer, at, delegate, heartbeat

from projector.explain.search import Search
from projector.explain.timeline import build_timeline

TEN_MS = int(TEN.timestamp() * 1000)


def hints(value: dict[str, Any]) -> list[str]:
    """The hints about the last of two records: a request, and this one."""
    search = Search("d-1")
    search.scan([record(delegate(0), 0), record(value, 1)._replace(timestamp=TEN_MS)])
    return build_timeline("d-1", search.matches).entries[-1].hints


@pytest.mark.parametrize("name", ["delegations", "Delegation", "delegaton"])
def test_activity_type_with_a_typo_is_named(name: str) -> None:
    expected = f'activity_type is "{name}", so this is no event: only "delegation" is one'
    assert hints({**answer(1, "completed"), "activity_type": name}) == [expected]


@pytest.mark.parametrize("name", ["a2a_receive", "chat", ""])
def test_other_activity_type_is_no_typo(name: str) -> None:
    assert hints({**answer(1, "completed"), "activity_type": name}) == []


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        ("completed", {"result": "3"}, ['response_body has no "text", so the result stays empty (it has "result")']),
        ("failed", {"reason": "x"}, ['response_body has no "error", so the error stays empty (it has "reason")']),
        ("completed", {"text": "3", "result": "3"}, []),
        ("completed", {"text": None, "result": "3"}, []),
        ("completed", {}, []),
        ("dispatched", {"result": "3"}, []),
    ],
)
def test_result_in_another_field_is_named(status: str, body: dict[str, Any], expected: list[str]) -> None:
    assert hints(answer(1, status) | {"response_body": {"delegation_id": "d-1", **body}}) == expected


def test_body_that_was_left_out_has_no_hint() -> None:
    assert (
        hints(answer(1, "completed") | {"response_body": UNAVAILABLE_VALUE, "request_body": {"delegation_id": "d-1"}})
        == []
    )


def test_time_in_the_future_is_named() -> None:
    late = {**heartbeat(1), "created_at": "2099-01-01T00:00:00Z"}
    assert hints(late) == ["its time 2099-01-01 00:00:00 is in the future: updated_at does not move until then"]
    assert hints({**heartbeat(1), "created_at": at(23 * 60)}) == []
