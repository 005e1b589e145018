"""The fast path is absent or equal to the complete translation for damaged values and for odd JSON in any place."""

import itertools
import random

import pytest
from fast_path import ENVELOPES, ROWS, agree, counted
from fuzz import damaged_values
from rows import UNAVAILABLE_VALUE
from strategies import written


def test_damaged_values() -> None:
    found = counted(damaged_values(random.Random(5), 3_000))
    related = (value.replace(b"tool_call", b"delegation") for value in damaged_values(random.Random(6), 3_000))
    other = (value.replace(b'"delegation"', b'"tool_call"') for value in damaged_values(random.Random(7), 3_000))
    found += counted(related) + counted(other)
    assert min(found["fast"], found["unrelated"]) > 500, found


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_values_with_a_byte_deleted_doubled_or_inserted(envelope: str) -> None:
    rng = random.Random(envelope)
    texts = [written(ENVELOPES[envelope](row), ascii_only=False) for row in ROWS]
    for _ in range(3_000):
        damaged = bytearray(rng.choice(texts))
        at = rng.randrange(len(damaged))
        kind = rng.randrange(3)
        inserted = rng.choice([*b'"\\{}[],:0-.eEnu\0\xc3\xed\xff\x80 ', rng.randrange(256)])
        damaged[at : at + (kind == 0)] = [b"", damaged[at : at + 1], bytes([inserted])][kind]
        agree(bytes(damaged))


ODD_JSON: dict[str, bytes] = {
    "NaN": b"NaN",
    "infinity": b"[-Infinity]",
    "zero in front": b"01",
    "no digit": b"1.",
    "exponent": b"1e400",
    "3,999 digits": b"9" * 3_999,
    "4,300 digits": b"9" * 4_300,
    "5,000 digits": b"9" * 5_000,
    "minus zero": b"-0",
    "not UTF-8": b'"\xff"',
    "overlong": b'"\xc0\x80"',
    "surrogate in UTF-8": b'"\xed\xa0\x80"',
    "lone surrogate": b'"\\ud800"',
    "lone low surrogate": b'"\\udc00x"',
    "pair": b'"\\ud83d\\ude00"',
    "NUL": b'"a\\u0000b"',
    "control character": b'"a\x01b"',
    "escape": b'"\\x41"',
    "key that is not UTF-8": b'{"\xff": 1}',
    "key with a lone surrogate": b'{"\\udfff": 1}',
    "480 levels": b"[" * 480 + b"]" * 480,
    "499 levels": b"[" * 499 + b"]" * 499,
    "500 levels": b'{"":' * 500 + b"1" + b"}" * 500,
    "900 levels": b"[" * 900 + b"]" * 900,
    "many brackets, flat": b"[" + b"[]," * 700 + b"{}]",
    "left out": written(UNAVAILABLE_VALUE),
    "empty": b'""',
    "null text": b'"null"',
    "JSON text": b'"{\\"delegation_id\\": \\"d-2\\", \\"task\\": \\"\\\\u0000\\\\ud800\\"}"',
    "deep JSON text": written("[" * 600 + "]" * 600),
    "deep object as JSON text": written('{"delegation_id": "d-2", "x": ' + "[" * 600 + "]" * 600 + "}"),
}
PLACES = [
    *(
        "summary",
        "before",
        "schema",
        "tool_trace",
        "id",
        "status",
        "method",
        "activity_type",
        "created_at",
        "source_id",
    ),
    *("request_body", "response_body", "error_detail", "idempotency_key", "delegation_id", "task", "text", "deadline"),
    *("source", "ts_ms", "table", "op", "after", "payload", "specversion", "data", "__op", "__deleted", "unknown"),
]


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("odd", ODD_JSON)
def test_odd_json_anywhere(envelope: str, odd: str) -> None:
    """Also as an equal key, before and after the ordinary one: the last one counts."""
    for row, place in itertools.product((ROWS[0], ROWS[5], ROWS[-1]), PLACES):
        text = written(ENVELOPES[envelope](row), ascii_only=False)
        key = b'"%b": ' % place.encode()
        odd_field = key + ODD_JSON[odd]
        for found in (text.replace(key, odd_field + b", " + key, 1), text.replace(b"{", b"{%b, " % odd_field, 1)):
            agree(found)
        agree(text[:-1] + b", " + odd_field + b"}")


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("head", [b"\xef\xbb\xbf", b"\0\0\0\1\2", b"\0\0\0\0", b" \n", b"\0", b"[", b"\x0b"])
@pytest.mark.parametrize("tail", [b"", b" \n", b" x", b"\0", b"{}", b"]", b","])
def test_head_and_tail_of_a_value(envelope: str, head: bytes, tail: bytes) -> None:
    for row in ROWS:
        text = written(ENVELOPES[envelope](row))
        agree(head + text + tail)
        agree(text + tail)
