"""The fast way into a value and the strict one agree, and whatever a value holds, nothing but Unreadable is raised."""

import random
from typing import Any

import pytest
from given import record
from hypothesis import example, given, settings
from hypothesis import strategies as st
from odd import real_values, tampered, values, written

from events import envelope
from events.envelope import Activity, open_whole
from events.unreadable import Unreadable
from projector import fold, translate
from projector.lifecycle import Outcome

MANY = settings(max_examples=400, deadline=None)
BODIES = ("request_body", "response_body")


def ending(value: bytes) -> object:
    """How a record with this value ends; anything raised but Unreadable fails the test."""
    reading = fold.read([record(value, timestamp=1_746_439_200_000)])
    ended = [*reading.said, *reading.dead_letters, *reading.outcomes.elements()]
    assert len(ended) == 1
    return ended[0]


def meaning(activity: Activity | None) -> object:
    """What an opened value means, or why it is unreadable."""
    if activity is None:
        return Outcome.TOMBSTONE
    kind = activity.row.get("activity_type")
    if kind != "delegation":
        return kind if isinstance(kind, str) else "unreadable"
    try:
        return translate._read(activity.row, translate._Reading(activity, 1_746_439_200_000))
    except Unreadable as error:
        return error.field


def opened_strictly(value: bytes) -> object:
    try:
        return meaning(open_whole(value))
    except Unreadable as error:
        return type(error)


def opened_fast(value: bytes) -> object:
    """Through the fast parser alone; raises where it turns the value away."""
    return meaning(envelope._unwrap(envelope._VALUE.validate_json(value)))


def agree(value: bytes) -> None:
    try:
        fast = opened_fast(value)
    except (ValueError, Unreadable):  # turned away: the strict way is the only one
        return
    if b"NaN" not in value and b"Infinity" not in value:
        assert fast == opened_strictly(value)


@MANY
@given(tampered(), st.booleans())
def test_both_ways_agree_on_real_values_with_pieces_exchanged(value: Any, ascii_only: bool) -> None:
    agree(written(value, ascii_only=ascii_only))


@MANY
@given(st.dictionaries(st.sampled_from(["activity_type", "op", "after", "payload", "schema", "data"]), values))
@example({"activity_type": "delegation", "schema": "s", "payload": {"op": "d"}})
@example({"activity_type": "delegation", "status": "BEGIN", "event_count": 1, "method": "heartbeat"})
@example({"op": "u", "after": {"activity_type": "delegation", "method": "heartbeat"}, "source": []})
def test_both_ways_agree_on_objects_with_markers(value: Any) -> None:
    agree(written(value))


@MANY
@given(tampered())
def test_value_that_must_go_the_long_way_means_the_same(value: Any) -> None:
    fast, slow = written(value), written(value | {"note": "NaN Infinity \ud800"})
    if not {"op", "specversion", "activity_type"} & value.keys():
        return  # a note in a connector's own record makes it another one
    assert _said(ending(fast)) == _said(ending(slow))


def _said(ended: object) -> object:
    if isinstance(ended, fold.DeadLetter):
        return ended.field
    return ended.translation if isinstance(ended, fold.Said) else ended


@MANY
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_unreadable(value: bytes) -> None:
    ending(value)


@MANY
@given(values)
def test_no_json_value_raises_anything_but_unreadable(value: Any) -> None:
    ending(written(value))


@MANY
@given(tampered(), st.booleans())
def test_no_real_value_with_pieces_exchanged_raises_anything_but_unreadable(value: Any, ascii_only: bool) -> None:
    ending(written(value, ascii_only=ascii_only))


@pytest.mark.parametrize("seed", range(4))
def test_no_real_value_with_bytes_exchanged_raises_anything_but_unreadable(seed: int) -> None:
    rng = random.Random(seed)
    values = [written(value, ascii_only=False) for value in real_values()]
    for _ in range(500):
        damaged = bytearray(rng.choice(values))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(damaged))
            damaged[at : at + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
        ending(bytes(damaged))


@MANY
@given(st.text(st.characters(codec=None), max_size=30), st.sampled_from(BODIES))
def test_no_text_in_place_of_a_body_raises_anything_but_unreadable(text: str, body: str) -> None:
    row = {"activity_type": "delegation", "method": "delegate_result", "status": "failed", body: text}
    ending(written(row))


def test_each_real_value_is_opened_alike() -> None:
    assert len(real_values()) > 100
    for value in real_values():
        agree(written(value))
