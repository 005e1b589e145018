"""`is_unrelated` reads the markers only (events/README.md, section 1), and leaves each odd value to `open_value`."""

import json
import random
from typing import Any

import pytest
from fuzz import damaged_values
from rows import delegate

from projector.contract.envelope import Activity, open_value
from projector.contract.glimpse import is_unrelated

ROW = delegate(0)
CALL = ROW | {"activity_type": "tool_call"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (CALL, True),
        ({"op": "c", "after": CALL, "source": {"ts_ms": 7}}, True),
        ({"op": "u", "before": CALL, "after": CALL, "source": None}, True),
        ({"op": "u", "before": CALL, "after": CALL, "source": 7}, False),
        ({"op": "c", "after": {"id": 7}, "source": {"table": "users"}}, True),
        ({"op": "c", "after": {"id": 7}, "source": {"table": "activity_logs"}}, False),
        (CALL | {"op": "d"}, True),
        ({"specversion": "1.0", "data": CALL, "time": "now"}, True),
        (CALL | {"__op": "u", "__deleted": "false"}, True),
        (CALL | {"__deleted": "true"}, False),
        ({"op": "d", "after": CALL}, False),
        ({"op": "x", "after": CALL}, False),
        ({"op": "c", "after": None}, False),
        ({"op": "c", "after": [CALL]}, False),
        ({"schema": {}, "payload": CALL}, True),
        ({"schema": {}, "payload": {"op": "r", "after": CALL, "source": {}}}, True),
        ({"schema": {}, "payload": {"schema": {}, "payload": CALL}}, False),
        ({"schema": {}, "payload": CALL, "op": "d"}, False),
        ({"payload": CALL}, False),
        ({"padding": "x" * 300} | ROW, False),
        ({"padding": "x" * 300} | CALL, True),
        (CALL | {"activity_type": 7}, False),
        (CALL | {"activity_type": None}, False),
        ({"op": "c", "after": {"activity_type": ["tool_call"]}}, False),
        ({"status": "BEGIN", "event_count": None}, False),
        (CALL | {"note": "NaN is not a number"}, True),
        (CALL | {"source": "web", "data": "text", "payload": None}, True),
        (7, False),
    ],
)
def test_markers_alone_identify_other_activities(value: Any, expected: bool) -> None:
    assert is_unrelated(json.dumps(value).encode()) is expected


@pytest.mark.parametrize(
    "value",
    [
        b'{"activity_type": "tool_call", "n": NaN}',
        b'{"activity_type": "tool_call", "n": [-Infinity]}',
        b'{"activity_type": "tool_call", "n": 01}',
        b'{"activity_type": "tool_call", "n": "\\ud800"}',
        b'{"activity_type": "tool_call", "n": "\xff"}',
        b'{"activity_type": "tool_call", "n": ' + b"[" * 600 + b"]" * 600 + b"}",
        b'{"activity_type": "tool_call"} x',
        b'{"activity_type": "tool_call", "activity_type": "delegat\\u0069on"}',
    ],
)
def test_markers_alone_decide_nothing_about_odd_json(value: bytes) -> None:
    assert not is_unrelated(value)


def test_damaged_values_are_unrelated_only_if_fully_readable() -> None:
    unrelated = 0
    for value in damaged_values(random.Random(5), 6_000):
        value = value.replace(b'"delegation"', b'"tool_call"')
        if is_unrelated(value):
            activity = open_value(value)
            assert isinstance(activity, Activity)
            assert isinstance(activity.row.get("activity_type"), str)
            assert activity.row.get("activity_type") != "delegation"
            unrelated += 1
    assert unrelated > 1_000
