"""Values as JSON: one value per record, equal keys, deep nesting.

events/README.md, section 3: a value that is not JSON is a dead letter.
"""

import json

import pytest
from builders import InMemoryView, log, outcome_of
from rows import answer, delegate, heartbeat

from projector.domain.outcomes import Outcome

ROW = delegate(0)


@pytest.mark.parametrize("trap", [b"1],[2", b'"a":1},{"b":2', b'{"activity_type": "x"},{"activity_type": "y"}', b"}"])
def test_two_values_in_one_record_do_not_shift_neighbours(trap: bytes) -> None:
    memory = InMemoryView()
    outcomes = memory.project(log(delegate(0), trap, delegate(1, "dispatched"), heartbeat(2)))
    assert outcomes == [Outcome.INSERTED, Outcome.ADVANCED, Outcome.HEARTBEAT, Outcome.DEAD_LETTER]
    assert [(letter.record.offset, letter.record.value) for letter in memory.dead_letters] == [(1, trap)]


def test_last_of_two_equal_keys_counts() -> None:
    twice = b'{"activity_type": "agent_log", "activity_type": "delegation", "method": "heartbeat"%s}'
    assert outcome_of(twice % b"") is Outcome.UNCORRELATED
    assert outcome_of(twice % b', "z": "\\ud800"') is Outcome.UNCORRELATED  # read by the standard library


@pytest.mark.parametrize("levels", [10, 150, 400])
def test_nesting_in_an_unused_column_is_harmless(levels: int) -> None:
    deep = json.loads("[" * levels + "]" * levels)
    assert outcome_of(delegate(0, tool_trace=deep)) is Outcome.INSERTED


@pytest.mark.parametrize("levels", [480, 499, 500, 501, 980, 985, 986, 987, 988, 989, 990, 1000, 10_000, 100_000])
@pytest.mark.parametrize(
    "field", ["op", "activity_type", "status", "created_at", "request_body", "tool_trace", "payload"]
)
def test_nesting_of_any_depth_ends_in_an_outcome(field: str, levels: int) -> None:
    nest = b"[" * levels + b"]" * levels if field != "payload" else b'{"payload":' * levels + b"1" + b"}" * levels
    text = json.dumps({name: column for name, column in ROW.items() if name != field}).encode()
    actual = outcome_of(b'%b, "%b": %b}' % (text[:-1], field.encode(), nest))
    is_unused = field in ("op", "tool_trace", "payload")
    assert actual is (Outcome.INSERTED if is_unused and levels < 500 else Outcome.DEAD_LETTER)


@pytest.mark.parametrize("levels", [10, 400, 990, 100_000])
def test_payload_without_schema_is_no_envelope(levels: int) -> None:
    innermost = json.dumps(ROW).encode()
    assert outcome_of(b'{"payload":' * levels + innermost + b"}" * levels) is Outcome.DEAD_LETTER


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 4300, "9" * 5000, "-" + "9" * 100_000, "0." + "1" * 9999])
def test_number_of_any_size_ends_in_an_outcome(number: str) -> None:
    text = json.dumps(answer(0, "completed"))[:-1]
    assert outcome_of(f'{text}, "duration_ms": {number}}}'.encode()) is Outcome.PARKED
    assert outcome_of(f'{text}, "created_at": {number}}}'.encode()) is Outcome.DEAD_LETTER


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_constant_that_json_does_not_have_is_a_dead_letter(constant: str) -> None:
    body = f'{{"delegation_id": "d-1", "task": "t", "cost": {constant}}}'
    text = json.dumps(delegate(0, request_body=body))
    assert outcome_of(text.encode()) is Outcome.DEAD_LETTER
    assert outcome_of(f'{json.dumps(ROW)[:-1]}, "cost": {constant}}}'.encode()) is Outcome.DEAD_LETTER
