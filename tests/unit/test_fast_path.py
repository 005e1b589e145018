"""The fast path is absent or equal to the complete translation, for every value (docs/decisions/0005-parsing.md).

Both parts of it are compared: `glimpse.is_unrelated` and `fast.translate`.
"""

import gzip
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from fast_path import ENVELOPES, ROWS, agree, counted
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_records import OddRecords
from recorded import RECORDINGS
from rows import CALLER, UNAVAILABLE_VALUE, delegate, updated
from strategies import COLUMNS, MADE_VALUES, real_values, tampered, values, wrapped, written

from benchmarks.recording import generate
from projector.contract.envelope import LARGE_ROW_BYTES, is_large

MANY = settings(max_examples=600, deadline=None)
EXAMPLES = Path(__file__).parents[2] / "events" / "examples"


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_ordinary_rows_take_the_fast_path(envelope: str, ascii_only: bool) -> None:
    found = counted(written(ENVELOPES[envelope](row), ascii_only=ascii_only) for row in ROWS)
    assert found["unrelated"] == 1
    assert found["fast"] == (0 if envelope == "event" else 7)  # all but the verdict


@MANY
@given(tampered(), st.sampled_from(sorted(ENVELOPES)), st.booleans(), st.booleans())
def test_tampered_real_rows_in_every_envelope(value: Any, envelope: str, ascii_only: bool, other: bool) -> None:
    row = value.get("after") or value
    if isinstance(row, dict):
        row = row | {"activity_type": "tool_call"} if other else row
        agree(written(ENVELOPES[envelope](row), ascii_only=ascii_only))


@MANY
@given(st.sampled_from(ROWS), st.dictionaries(st.sampled_from(COLUMNS), values, max_size=2), st.data())
def test_rows_with_odd_columns_in_every_envelope(row: dict[str, Any], odd: dict[str, Any], data: st.DataObject) -> None:
    body = data.draw(st.dictionaries(st.sampled_from(["delegation_id", "task", "deadline", "text", "error"]), values))
    name = data.draw(st.sampled_from(["request_body", "response_body", "summary"]))
    envelope = ENVELOPES[data.draw(st.sampled_from(sorted(ENVELOPES)))]
    agree(written(envelope(row | {name: body} | odd)))


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_each_column_that_a_change_feed_left_out(envelope: str) -> None:
    for row, column in itertools.product(ROWS, COLUMNS):
        agree(written(ENVELOPES[envelope](row | {column: UNAVAILABLE_VALUE})))


@MANY
@given(tampered(), st.booleans())
def test_tampered_real_values(value: Any, ascii_only: bool) -> None:
    agree(written(value, ascii_only=ascii_only))


@MANY
@given(wrapped(tampered()))
def test_wrapped_values(value: bytes) -> None:
    agree(value)


# --- whole recordings


def recorded() -> list[bytes]:
    lines = itertools.chain.from_iterable(gzip.decompress(path.read_bytes()).splitlines() for path in RECORDINGS)
    return [value.encode() for line in lines if (value := json.loads(line).get("value"))]


def test_recorded_change_events_take_the_fast_path() -> None:
    found = counted(recorded())
    assert found.total() > 900
    assert found["absent"] < found.total() / 5, found


def test_examples_of_the_contract() -> None:
    found = counted(path.read_bytes() for path in EXAMPLES.iterdir())
    assert found["fast"] > 10
    assert found["unrelated"] > 2


@pytest.mark.parametrize("debezium", [False, True])
def test_recording_of_the_benchmark_takes_the_fast_path(debezium: bool) -> None:
    found = counted(each.value for each in generate(2_000, debezium=debezium) if each.value)
    assert found["absent"] < (100 if debezium else 1), found  # updates that left out a body


@pytest.mark.parametrize("seed", range(3))
def test_odd_records(seed: int) -> None:
    found = counted(each.value for each in OddRecords(seed, odd_share=seed / 2).log(2_000) if each.value)
    assert found["fast"] > 100


# --- large rows


def bytes_of(row: dict[str, Any]) -> int:
    """The size of a row's texts as the contract defines it, written plainly."""
    texts = [
        column if isinstance(column, str) else json.dumps(column, ensure_ascii=False, separators=(",", ":"))
        for column in row.values()
        if column is not None
    ]
    return sum(len(text.encode(errors="surrogatepass")) for text in texts)


@MANY
@given(st.dictionaries(st.sampled_from(COLUMNS), values, max_size=4), st.integers(-1, 2))
def test_row_is_large_from_the_same_byte_on(row: dict[str, Any], more: int) -> None:
    row.pop("duration_ms", None)
    padded = row | {"summary": "x" * max(0, LARGE_ROW_BYTES - bytes_of(row) + more)}
    assert is_large(padded) == (bytes_of(padded) > LARGE_ROW_BYTES)


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("task", ["x", "é", "日", "\U0001f600", '"', "\n", "\x7f\u2028"])
def test_rows_of_about_1500_bytes(envelope: str, task: str) -> None:
    smallest = delegate(0, id=CALLER, amount=1e16, request_body={"delegation_id": "d-1", "task": ""})
    room = (LARGE_ROW_BYTES - bytes_of(smallest)) // len(task.encode())
    for times in {*range(room // 2 - 3, room // 2 + 3), *range(room - 40, room + 6)}:
        row = smallest | {"request_body": {"delegation_id": "d-1", "task": task * times}}
        assert agree(written(ENVELOPES[envelope](row), ascii_only=False)) == (
            "absent" if envelope == "event" else "fast"
        )


def test_update_without_its_time_is_not_guessed() -> None:
    assert agree(written(updated(delegate(0), 7) | {"source": {"ts_ms": None}})) == "absent"
    assert agree(written(updated(delegate(0), 7))) == "fast"


def test_made_and_real_values() -> None:
    found = counted(
        written(value, ascii_only=ascii_only) for value in real_values() + MADE_VALUES for ascii_only in (True, False)
    )
    assert found["fast"] > 50
