"""Malformed values: each must become a dead letter, without an effect on the other records of its batch."""

import json
import random
from collections.abc import Iterator

from testbed.workload.feeds import UNAVAILABLE_VALUE, Feed, Row, choose_feed
from testbed.workload.texts import iso, new_uuid

FAR_TIMES = ["infinity", "-infinity", "+12345-06-07T08:09:10.123456Z", "-0043-03-15T12:00:00Z", "0000-01-01T00:00:00Z"]
EDGE_TIMES = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:30:00-01:00", "9999-12-31T20:00:00Z"]
WRONG_NUMBERS = [10**11 - 1, 10**20, -1_777_975_200_123, 1_777_975_200_123.5, 1.777975200123e12, "1777975200123"]
WRONG_TIMES = [
    *("yesterday", "", True, {}, "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z", "12:00", *WRONG_NUMBERS),
    *("2026-01-01T24:00:00Z", "2016-12-31T23:59:60Z"),
]
BYTES = [
    b"",
    b" ",
    b"not json",
    b"[]",
    b"42",
    b"true",
    b'"activity_type"',
    b'"\\"{}\\""',
    b'"\\ufeff{\\"activity_type\\": \\"agent_log\\"}"',
    b"{}",
    b"1],[2",
    b"NaN",
    b'{"activity_type": "delegation", "method": NaN}',
    b'{"activity_type": "delegation"',
    b'{"activity_type": "delegation",}',
    b'{"activity_type": "a\x00b"}',
    b'{"activity_type": "\xff"}',
    b'{"activity_type": "\xed\xa0\x80"}',
    b'\xef\xbb\xbf{"activity_type": "agent_log"}',
    b'\x00\x00\x00\x00\x2a\xef\xbb\xbf{"activity_type": "agent_log"}',
    b'\x00\x00\x00\x00\x2a "{\\"activity_type\\": \\"agent_log\\"}"',
    b'\x00\x00\x00\x00\x2a\x00\x00\x00\x00\x2a{"activity_type": "agent_log"}',
    b'\x00{"activity_type": "agent_log"}',
    b'{"activity_type": "agent_log"}{"activity_type": "agent_log"}',
    b'{"activity_type": null}',
    b'{"activity_type": ["delegation"]}',
    b'{"activity_type": "agent_log", "activity_type": 7}',
    b'{"op": "c", "after": null}',
    b'{"op": "u", "after": "row"}',
    b'{"op": "c", "after": {"method": "delegate"}}',
    b'{"op": "x", "after": {}}',
    b'{"op": "c", "after": {"name": "x"}, "source": {"table": "activity_logs"}}',
    b'{"op": "c", "after": {"name": "x"}, "source": {"table": 7}}',
    b'{"op": "r", "after": {"activity_type": null}, "source": {"table": "agents"}}',
    b'{"op": "c", "after": {"activity_type": "agent_log"}, "source": "platform"}',
    b'{"op": null}',
    b'{"op": {"c": "c"}}',
    b'{"schema": {}, "payload": {"op": "r"}}',
    b'{"schema": {}, "payload": 17}',
    b'{"schema": {}, "payload": "null"}',
    b'{"schema": {}, "payload": {"schema": {}, "payload": {"activity_type": "agent_log"}}}',
    b'{"payload": {"activity_type": "agent_log"}}',
    b'{"specversion": "1.0"}',
    b'{"specversion": "1.0", "data": "PGJpbmFyeT4="}',
    b'{"specversion": "1.0", "data": []}',
    b'{"specversion": "1.0", "data": "\\"{}\\""}',
    b'{"specversion": "1.0", "data": {"before": null, "after": {"activity_type": "delegation"}, "op": "c"}}',
    b'{"specversion": "1.0", "data_base64": "bm90IGpzb24="}',
    b'{"specversion": "1.0", "data_base64": "eyJhY3Rpdml0eV90eXBlIjoiYWdlbnRfbG9nIn0"}',
    b'{"specversion": "1.0", "data_base64": {"activity_type": "agent_log"}}',
    b'{"status": "BEGIN"}',
    b'{"ts_ms": 1777975200123, "more": 1}',
]
WRONG_COLUMNS: list[Row] = [
    {"method": None},
    {"method": "Delegate"},
    {"method": 7},
    {"method": ["delegate"]},
    {"status": None},
    {"status": "done"},
    {"status": "Completed"},
    {"status": 0},
    {"status": {}},
    {"source_id": "not-a-uuid"},
    {"source_id": ""},
    {"source_id": 12},
    {"source_id": "{5b2e9f4e-31a1-4d3c-9f37-0a3f0c0a3f11}"},
    {"source_id": "5b2e9f4e31a14d3c9f370a3f0c0a3f11"},
    {"source_id": "5b2e9f4e-31a1-4d3c-9f37-0a3f0c0a3f1\u0661"},
    {"source_id": None, "workspace_id": None},
    {"source_id": None, "workspace_id": "everybody"},
    {"target_id": None},
    {"target_id": "\ud800"},
    {"target_id": ["a", "b"]},
    {"idempotency_key": 5},
    {"idempotency_key": "k" * 513},
    {"idempotency_key": "k\x00"},
    {"idempotency_key": "k\ud800"},
    {"request_body": None},
    {"request_body": []},
    {"request_body": "{'task': 1}"},
    {"request_body": ""},
    {"request_body": "1],[2"},
    {"request_body": '"{}"'},
    {"request_body": UNAVAILABLE_VALUE},
    {"status": "completed", "response_body": UNAVAILABLE_VALUE},
    {"status": "completed", "response_body": "{"},
    {"status": "completed", "response_body": {"text": 17}},
    {"status": "failed", "error_detail": ["broke"]},
    {"status": "stuck", "error_detail": "", "response_body": {"error": False}},
    {"method": "verdict", "status": "completed"},
    {"method": "verdict", "status": "timeout"},
    {"method": "verdict", "status": "stuck"},
    {"method": "verdict", "status": "failed", "request_body": UNAVAILABLE_VALUE},
    {"method": "verdict", "status": "failed", "error_detail": {"text": "broke"}},
    *({"created_at": time} for time in [*FAR_TIMES, *EDGE_TIMES, *WRONG_TIMES]),
]
WRONG_VERDICTS: list[Row] = [
    {"delegation_id": None, "silent_since": 1_777_975_200_123},
    {"delegation_id": "v\x00", "silent_since": 1_777_975_200_123},
    *({"silent_since": time} for time in [*FAR_TIMES, *WRONG_TIMES, *EDGE_TIMES[:2]]),
]
WRONG_REQUESTS: list[Row] = [
    {"delegation_id": None},
    {"delegation_id": ""},
    {"delegation_id": 7},
    {"delegation_id": {"id": 1}},
    {"delegation_id": "d" * 513},
    {"delegation_id": "d\x00"},
    {"delegation_id": "\ud800"},
    {"delegation_id": "d" * 100_000},
    {"task": 7},
    {"task": ["a"]},
    *({"deadline": time} for time in [*FAR_TIMES, *WRONG_TIMES, *EDGE_TIMES[:2]]),
]


def malformed_value(rng: random.Random, now: int) -> bytes:
    """Return one malformed value in any envelope; most have a row with exactly one error."""
    if rng.random() < 0.3:
        return rng.choice(BYTES)
    feed = choose_feed(rng, wrapped_share=0.2)._replace(bodies_as_text=False)
    row = _valid_row(rng, now)
    dice = rng.random()
    if dice < 0.6:
        row |= rng.choice(WRONG_COLUMNS)
    elif dice < 0.85:
        row["request_body"] |= rng.choice(WRONG_REQUESTS)
    else:
        row |= {"method": "verdict", "status": rng.choice(["stuck", "failed"])}
        row["request_body"] |= rng.choice(WRONG_VERDICTS)
    return feed.value("c", row, now - now % 64 + 7) if rng.random() < 0.9 else _invalid_time(rng, feed, row, now)


def malformed_values(seed: int, count: int, *, now: int = 1_746_439_200_000) -> Iterator[bytes]:
    """Yield malformed values: all of `BYTES` first, then random ones."""
    rng = random.Random(seed)
    yield from BYTES[:count]
    yield from (malformed_value(rng, now + tick) for tick in range(count - len(BYTES)))


def _valid_row(rng: random.Random, now: int) -> Row:
    return {
        "id": new_uuid(rng),
        "workspace_id": new_uuid(rng),
        "activity_type": "delegation",
        "source_id": new_uuid(rng),
        "target_id": new_uuid(rng),
        "method": "delegate",
        "request_body": {"delegation_id": f"hostile-{new_uuid(rng)}", "task": "none"},
        "response_body": None,
        "status": "pending",
        "error_detail": None,
        "idempotency_key": None,
        "created_at": iso(now),
    }


def _invalid_time(rng: random.Random, feed: Feed, row: Row, now: int) -> bytes:
    """Return a row, valid or not, in an envelope with an invalid time."""
    if rng.random() < 0.2:
        wrong_source = rng.choice([7, "platform", ["platform"], False])
        return json.dumps({"op": rng.choice("cru"), "after": row, "source": wrong_source}).encode()
    if feed.envelope == "cloudevents":
        return json.dumps({"specversion": "1.0", "time": rng.choice(WRONG_TIMES + FAR_TIMES), "data": row}).encode()
    wrong_ms = rng.choice([True, "1777975200123", 1.5, 10**17, -(10**17), {}])
    return json.dumps({"op": "u", "after": row, "source": {"ts_ms": wrong_ms}}).encode()
