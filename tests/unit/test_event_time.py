"""Event times: the time of the envelope, else of the row, else of the record.

events/README.md, section 1, has the rules.
"""

from typing import Any

import pytest
from builders import at, dead_letter_of, outcome_of, report_of, request_of
from rows import TEN, answer, delegate, updated
from rows import at as iso

from projector.domain.outcomes import Outcome

TEN_MS = int(TEN.timestamp() * 1000)


def cloud_event(row: object, **attributes: object) -> dict[str, object]:
    return {"specversion": "1.0", "data": row, **attributes}


def unwrapped(row: dict[str, Any], op: str, ms: object) -> dict[str, Any]:
    return row | {"__op": op, "__source_ts_ms": ms}


def change(row: object, op: str, ms: object = TEN_MS + 120_000) -> dict[str, object]:
    return {"op": op, "after": row, "source": {"ts_ms": ms}}


NO_TIME = answer(0, "failed") | {"created_at": None}
ONE = answer(1, "failed")


@pytest.mark.parametrize(
    ("value", "minute"),
    [
        *[(ONE, 1), (NO_TIME, 9)],
        *[(change(ONE, "c"), 1), (change(ONE, "r"), 1), (change(ONE, "u"), 2), (change(NO_TIME, "c"), 9)],
        *[(change(ONE, "u", None), 9), ({"op": "u", "after": ONE}, 9), ({"op": "u", "after": ONE, "source": None}, 9)],
        *[(cloud_event(ONE, time=iso(3)), 3), (cloud_event(ONE), 1)],
        *[(cloud_event(NO_TIME, time=iso(3)), 3), (cloud_event(NO_TIME, time=None), 9)],
        *[(unwrapped(ONE, "c", TEN_MS), 1), (unwrapped(ONE, "u", TEN_MS + 240_000), 4), (unwrapped(ONE, "u", None), 9)],
        (unwrapped(ONE, "r", "garbage"), 1),
        (change(ONE | {"created_at": "garbage"}, "u"), 2),
        (cloud_event(ONE | {"created_at": "garbage"}, time=iso(3)), 3),
    ],
)
def test_event_has_the_time_of_its_envelope(value: object, minute: int) -> None:
    assert report_of(value, TEN_MS + 9 * 60_000).at == at(minute)


@pytest.mark.parametrize("timestamp", [None, -1])
@pytest.mark.parametrize("value", [NO_TIME, change(NO_TIME, "c"), change(ONE, "u", None), cloud_event(NO_TIME)])
def test_record_without_any_time_is_a_dead_letter(value: object, timestamp: int | None) -> None:
    field, reason = dead_letter_of(value, timestamp)
    assert field in ("created_at", "source.ts_ms")
    assert "the record has no timestamp to use instead" in reason


def test_record_timestamp_matters_only_where_it_is_used() -> None:
    assert dead_letter_of(NO_TIME, 10**16)[0] == "timestamp"
    assert report_of(ONE, 10**16).at == at(1)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (change(ONE, "u", "1746439200000"), "source.ts_ms"),
        (change(ONE, "u", 1.5), "source.ts_ms"),
        (change(ONE, "u", 10**17), "source.ts_ms"),
        (unwrapped(ONE, "u", True), "__source_ts_ms"),
        (cloud_event(ONE, time="yesterday"), "time"),
        (cloud_event(ONE, time=1.5), "time"),
        (cloud_event(ONE | {"created_at": "garbage"}), "created_at"),
        (ONE | {"created_at": 7}, "created_at"),
    ],
)
def test_time_of_a_wrong_type_is_a_dead_letter(value: object, field: str) -> None:
    assert dead_letter_of(value, TEN_MS)[0] == field


def test_created_at_and_updated_at_have_their_own_times() -> None:
    for value in (updated(delegate(1, "dispatched"), 5), cloud_event(delegate(1, "dispatched"), time=iso(5))):
        assert request_of(value).created_at == at(1)
        assert report_of(value).at == at(5)
    assert request_of(cloud_event(delegate(1) | {"created_at": None}, time=iso(5))).created_at == at(5)
    assert request_of(delegate(1) | {"created_at": None}, TEN_MS).created_at == at(0)


@pytest.mark.parametrize("source", ["x", 17, 1_746_439_260_000, [], True])
@pytest.mark.parametrize("op", ["c", "r", "u"])
@pytest.mark.parametrize("row", [delegate(0), {"activity_type": "agent_log"}, {"id": 7}])
def test_source_that_is_no_object_is_a_dead_letter(source: object, op: str, row: object) -> None:
    assert dead_letter_of({"op": op, "after": row, "source": source}, TEN_MS)[0] == "source"


@pytest.mark.parametrize(
    "value",
    [
        cloud_event({"activity_type": "agent_log", "created_at": "x"}, time="yesterday"),
        change({"activity_type": "agent_log"}, "u", "yesterday"),
        unwrapped({"activity_type": "agent_log"}, "u", "yesterday"),
    ],
)
def test_time_of_an_unrelated_row_is_not_looked_at(value: object) -> None:
    assert outcome_of(value) is Outcome.UNRELATED
