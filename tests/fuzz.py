"""Damaged values, made from those of a real connector: changed bytes, exchanged fields, invalid types."""

import json
import random
from collections.abc import Iterator
from typing import Any

from strategies import KEYS, real_values, written

NUMBERS = [0, -1, 2**31, 2**63, -(2**63), 10**400, 1e308, 5e-324, -0.0, 253_402_300_800_000, True]
TEXTS = [
    *("", " ", "null", "{}", "[]", "{", "NaN", "infinity", "-infinity", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"),
    *("1],[2", '"a":1},{"b":2', "\x00", "a\x00b", "\ud800", "\udc00\ud800", "\u202e", "é" * 3000, "d" * 513),
    *("delegation", "delegate", "delegate_result", "heartbeat", "completed", "__debezium_unavailable_value"),
]


def damaged_values(rng: random.Random, count: int) -> Iterator[bytes]:
    """Yield `count` values, equal for equal seeds."""
    originals = real_values()
    damages = [_flipped, _spliced, _swapped, _swapped, _deep, _wrapped]
    for _ in range(count):
        yield rng.choice(damages)(rng, rng.choice(originals))


def _flipped(rng: random.Random, value: Any) -> bytes:
    """Flip some bits."""
    content = bytearray(written(value))
    for _ in range(rng.randint(1, 4)):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


def _spliced(rng: random.Random, value: Any) -> bytes:
    """Join the head of one value and the tail of another."""
    head, tail = written(value), written(rng.choice(real_values()), ascii_only=False)
    return head[: rng.randrange(len(head))] + tail[rng.randrange(len(tail)) :]


def _swapped(rng: random.Random, value: Any) -> bytes:
    """Replace up to three fields at any depth."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.randint(1, 3)):
        within = value
        while inner := [each for each in within.values() if isinstance(each, dict) and each]:
            if rng.random() < 0.3:
                break
            within = rng.choice(inner)
        within[rng.choice([*within, *KEYS])] = _anything(rng)
    return written(value, ascii_only=rng.random() < 0.5)


def _anything(rng: random.Random) -> Any:
    kind = rng.randrange(5)
    if kind == 0:
        return rng.choice(NUMBERS)
    if kind == 1:
        return [_anything(rng)]
    if kind == 2:
        return {rng.choice(KEYS): _anything(rng)}
    return rng.choice(TEXTS) if kind == 3 else rng.choice([None, False])


def _deep(rng: random.Random, value: Any) -> bytes:
    """Nest one field deeper than parsers accept."""
    depth = rng.choice([100, 1_000, 10_000])
    opening, closing = rng.choice([(b"[", b"]"), (b'{"a":', b"}")])
    nested = opening * depth + b"1" + closing * rng.choice([depth, depth, depth - 1])
    field = rng.choice(KEYS)
    return written({**value, field: "here"}).replace(b'"here"', nested, 1)


def _wrapped(rng: random.Random, value: Any) -> bytes:
    """Encode the value or its bodies as JSON texts, several times."""
    value = json.loads(json.dumps(value))
    if rng.random() < 0.3:
        return written(json.dumps(value))
    row = value.get("after") or value.get("payload", {}).get("after") or value
    for body in ("request_body", "response_body"):
        for _ in range(rng.randint(1, 3)):
            row[body] = json.dumps(row.get(body))
    return written(value)
