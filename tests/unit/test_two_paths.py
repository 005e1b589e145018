"""The fast way into a value and the strict one agree, and whatever a value holds, nothing but Unreadable is raised."""

import random
from typing import Any

import pytest
from builders import record
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json
from strategies import real_values, tampered, values, written

from projector.contract import strict_json
from projector.domain import fold

MANY = settings(max_examples=400, deadline=None)
BODIES = ("request_body", "response_body")


def ending(value: bytes) -> object:
    """How a record with this value ends; anything raised but Unreadable fails the test."""
    reading = fold.translate_batch([record(value, timestamp=1_746_439_200_000)])
    ended = [*reading.records, *reading.dead_letters, *reading.outcomes.elements()]
    assert len(ended) == 1
    return ended[0]


def agree(value: bytes) -> None:
    """What the fast parser takes, the slow one reads alike."""
    try:
        fast = from_json(value, allow_inf_nan=False)
    except ValueError:
        return  # turned away: the slow way is the only one
    assert fast == strict_json.loads_slowly(value)


@MANY
@given(tampered(), st.booleans())
def test_both_parsers_agree_on_real_values_with_pieces_exchanged(value: Any, ascii_only: bool) -> None:
    agree(written(value, ascii_only=ascii_only))


@MANY
@given(st.text(st.sampled_from('{}[]",:\\u0deE+-.1tfn '), max_size=30))
def test_both_parsers_agree_on_what_is_json(text: str) -> None:
    agree(text.encode())


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
    return ended.translation if isinstance(ended, fold.TranslatedRecord) else ended


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
