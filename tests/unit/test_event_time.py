"""When an event happened (CONTRACT §1): each envelope's own time, the row's, or else the record's."""

from typing import Any

import pytest
from builders import at, dead, report_of, request_of
from rows import TEN, answer, delegate, updated
from rows import at as iso

TEN_MS = int(TEN.timestamp() * 1000)


def ce(row: object, **attributes: object) -> dict[str, object]:
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
        *[(ce(ONE, time=iso(3)), 3), (ce(ONE), 1), (ce(NO_TIME, time=iso(3)), 3), (ce(NO_TIME, time=None), 9)],
        *[(unwrapped(ONE, "c", TEN_MS), 1), (unwrapped(ONE, "u", TEN_MS + 240_000), 4), (unwrapped(ONE, "u", None), 9)],
        (unwrapped(ONE, "r", "garbage"), 1),
        (change(ONE | {"created_at": "garbage"}, "u"), 2),
        (ce(ONE | {"created_at": "garbage"}, time=iso(3)), 3),
    ],
)
def test_event_time(value: object, minute: int) -> None:
    assert report_of(value, TEN_MS + 9 * 60_000).at == at(minute)


@pytest.mark.parametrize("timestamp", [None, -1])
@pytest.mark.parametrize("value", [NO_TIME, change(NO_TIME, "c"), change(ONE, "u", None), ce(NO_TIME)])
def test_no_time_at_all_is_a_dead_letter(value: object, timestamp: int | None) -> None:
    field, reason = dead(value, timestamp)
    assert field in ("created_at", "source.ts_ms")
    assert "the record has no timestamp to take for it" in reason


def test_timestamp_beyond_the_years_is_a_dead_letter_where_it_is_used() -> None:
    assert dead(NO_TIME, 10**16)[0] == "timestamp"
    assert report_of(ONE, 10**16).at == at(1)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (change(ONE, "u", "1746439200000"), "source.ts_ms"),
        (change(ONE, "u", 1.5), "source.ts_ms"),
        (change(ONE, "u", 10**17), "source.ts_ms"),
        (unwrapped(ONE, "u", True), "__source_ts_ms"),
        (ce(ONE, time="yesterday"), "time"),
        (ce(ONE, time=TEN_MS), "time"),
        (ce(ONE | {"created_at": "garbage"}), "created_at"),
        (ONE | {"created_at": 7}, "created_at"),
    ],
)
def test_time_of_a_wrong_kind_is_a_dead_letter(value: object, field: str) -> None:
    assert dead(value, TEN_MS)[0] == field


def test_row_is_made_at_its_own_time_and_moved_at_the_event_s() -> None:
    for value in (updated(delegate(1, "dispatched"), 5), ce(delegate(1, "dispatched"), time=iso(5))):
        assert request_of(value).created_at == at(1)
        assert report_of(value).at == at(5)
    assert request_of(ce(delegate(1) | {"created_at": None}, time=iso(5))).created_at == at(5)
    assert request_of(delegate(1) | {"created_at": None}, TEN_MS).created_at == at(0)
