"""Both parsers agree on every value, and no value raises anything but Unreadable."""

import random
from typing import Any

import pytest
from builders import record
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import real_values, tampered, values, written

from projector.contract import strict_json
from projector.domain import fold

MANY = settings(max_examples=400, deadline=None)
BODIES = ("request_body", "response_body")


def translated(value: bytes) -> object:
    """What a record with this value becomes. An error other than Unreadable fails the test."""
    batch = fold.translate_batch([record(value, timestamp=1_746_439_200_000)])
    results = [*batch.records, *batch.dead_letters, *batch.outcomes.elements()]
    assert len(results) == 1
    return results[0]


def agree(value: bytes) -> None:
    """The slow parser reads what the fast one accepts, with the same result."""
    try:
        fast = strict_json.decode(value)
    except strict_json.REFUSALS:
        return  # refused: only the slow parser reads it
    assert repr(fast) == repr(strict_json.loads_slowly(value))  # with types: 1 is not 1.0 or true


@MANY
@given(tampered(), st.booleans())
def test_parsers_agree_on_tampered_real_values(value: Any, ascii_only: bool) -> None:
    agree(written(value, ascii_only=ascii_only))


@MANY
@given(st.text(st.sampled_from('{}[]",:\\u0deE+-.1tfn '), max_size=30))
def test_parsers_agree_on_texts_like_json(text: str) -> None:
    agree(text.encode())


@MANY
@given(tampered())
def test_slow_path_gives_the_same_facts(value: Any) -> None:
    fast, slow = written(value), written(value | {"note": "NaN Infinity \ud800"})
    if not {"op", "specversion", "activity_type"} & value.keys():
        return  # with a note, a record of the connector is no longer recognised as one
    assert _facts(translated(fast)) == _facts(translated(slow))


def _facts(result: object) -> object:
    if isinstance(result, fold.DeadLetter):
        return result.field
    return result.translation if isinstance(result, fold.TranslatedRecord) else result


@MANY
@given(st.binary(max_size=200))
def test_random_bytes_raise_only_unreadable(value: bytes) -> None:
    translated(value)


@MANY
@given(values)
def test_random_json_raises_only_unreadable(value: Any) -> None:
    translated(written(value))


@MANY
@given(tampered(), st.booleans())
def test_tampered_real_values_raise_only_unreadable(value: Any, ascii_only: bool) -> None:
    translated(written(value, ascii_only=ascii_only))


@pytest.mark.parametrize("seed", range(4))
def test_damaged_real_values_raise_only_unreadable(seed: int) -> None:
    rng = random.Random(seed)
    values = [written(value, ascii_only=False) for value in real_values()]
    for _ in range(500):
        damaged = bytearray(rng.choice(values))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(damaged))
            damaged[at : at + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
        translated(bytes(damaged))


@MANY
@given(st.text(st.characters(codec=None), max_size=30), st.sampled_from(BODIES))
def test_random_text_as_body_raises_only_unreadable(text: str, body: str) -> None:
    row = {"activity_type": "delegation", "method": "delegate_result", "status": "failed", body: text}
    translated(written(row))


@MANY
@given(values, st.booleans())
def test_parsers_agree_on_random_json(value: Any, ascii_only: bool) -> None:
    agree(written(value, ascii_only=ascii_only))


@MANY
@given(st.from_regex(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True))
def test_parsers_agree_on_numbers(number: str) -> None:
    agree(number.encode())


EDGE_NUMBERS = ["-0", "-0.0", "1e400", "5e-324", "2e-324", "1E5", "01", "18446744073709551616", "-9223372036854775809"]


@pytest.mark.parametrize("number", [*EDGE_NUMBERS, "9" * 4_300, "-" + "9" * 4_300, "9" * 4_301, "-" + "9" * 4_301])
def test_parsers_agree_on_edge_numbers(number: str) -> None:
    agree(number.encode())
    agree(f'{{"a": [{number}]}}'.encode())


def test_parsers_agree_on_every_real_value() -> None:
    assert len(real_values()) > 100
    for value in real_values():
        agree(written(value))
