"""Random records of every envelope and wrapping, with odd values in any field: equal for equal seeds."""

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

from projector.recordings.file import RecordedRecord

LEFT_OUT = "__debezium_unavailable_value"
STATUSES = [
    *("pending", "queued", "dispatched", "received", "delivered", "in_progress"),
    *("completed", "failed", "error", "timeout", "stuck"),
]
METHODS = ["delegate", "delegate", "delegate_result", "heartbeat", "verdict"]
TEN_MS = 1_746_439_200_000
EDGE_MS = [253_402_300_799_999, 253_402_300_800_000, -62_135_596_800_000, -62_135_596_800_001, True, 0, -1, "0", 1.5]
NUMBERS = [
    *(10**11 - 1, 10**11, 10**14 - 1, 10**14, 10**17 - 1, 10**17, 10**20 - 1, 10**20, -(10**12), 10**400),
    *(float(TEN_MS), TEN_MS + 0.5, TEN_MS * 1000 + 1, TEN_MS * 10**6 + 1999, False, str(TEN_MS)),
]
TIMES = [
    *("2025-05-05", "2025-05-05T10", "20250505T101112Z", "2025-W10-1", "2025-05-05 10:00:00+02"),
    *("2025-05-05t10:00:00z", "2025-05-05T10:00:00.1234567Z", "2025-05-05T10:00:00,5Z", "2025-05-05T10:00:00-00:00:01"),
    *("2025-05-05T10:00:00+23:59", "2025-05-05T10:00:00+24:00", "2025-05-05T25:00:00", "infinity", "yesterday"),
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "2025-05-05T24:00:00Z", "2016-12-31T23:59:60Z"),
    *("9999-12-31T17:59:59Z", "9999-12-31T18:00:00Z", "9999-12-31T23:00:00-02:00", "9999-12-31T24:00:00Z"),
    *("2025-05-05T10:00:00.999999999Z", "2025-05-05T10:00:00+0200", "2025-05-05T10:00Z"),
    *("+2025-05-05T10:00:00Z", "2025-05-05T10:00:00 Z"),
    *("2025-05-05T10:00:00Z ", "2025-02-29T10:00:00Z", "0000-01-01T00:00:00Z", "٢٠25-05-05T10:00:00Z"),
]
UUID = "c1c1c1c1-0000-4000-8000-00000000000"
ODD: list[Any] = [
    *(None, "", 7, -1, 0, 1.5, True, False, [], {}, ["a"], {"a": 1}, 10**30, 1e308, *TIMES, *EDGE_MS, *NUMBERS),
    *(
        "x",
        "null",
        "{}",
        "[]",
        '"s"',
        "{",
        '{"delegation_id":"d2"}',
        "\x00",
        "\ud800",
        "x" * 1600,
        "\ufeff{}",
        LEFT_OUT,
    ),
    *("d" * 512, "d" * 513, "é" * 256, "a\x00b", "a\ud800b", " d-1", "D-1", "\ufeff", "\ufffd"),
    *(f"{UUID}1".upper(), f"{{{UUID}1}}", f"urn:uuid:{UUID}1", f"{UUID}1".replace("-", ""), f"{UUID}1\n"),
]
BODIES = ("request_body", "response_body")


class OddRecords:
    """A source of odd records; ids and keys are new from time to time, so that not all delegations are finished."""

    def __init__(self, seed: int, odd_share: float = 0.5) -> None:
        self._rng = random.Random(seed)
        self._odd_share = odd_share
        self._chapter = 0

    def log(self, count: int) -> Iterator[RecordedRecord]:
        """Yield records of one partition."""
        for offset in range(count):
            self._chapter = offset // 150
            timestamp = self._rng.choice([None, -1, -5, TEN_MS + offset])
            yield RecordedRecord("activity-log", 0, offset, timestamp, None, self._value())

    def _value(self) -> bytes | None:
        rng = self._rng
        if rng.random() < 0.02:
            return _no_row(rng)
        value = bytearray(self._wrapped(self._envelope(self._row())))
        if rng.random() < 0.01:
            value[rng.randrange(len(value))] = rng.randrange(256)
        return bytes(value)

    def _row(self) -> dict[str, Any]:
        rng = self._rng
        columns: dict[str, Any] = {
            "id": self._uuid(),
            "workspace_id": self._uuid(),
            "activity_type": "delegation",
            "source_id": rng.choice([f"{UUID}1", f"{UUID}2", None]),
            "target_id": self._uuid(),
            "method": rng.choice(METHODS),
            "status": rng.choice(STATUSES),
            "request_body": self._body(),
            "response_body": self._body(),
            "error_detail": rng.choice([None, "", "boom", LEFT_OUT]),
            "idempotency_key": rng.choice([None, f"k{self._chapter}-{rng.randint(1, 9)}"]),
            "created_at": self._time(),
        }
        if columns["method"] == "verdict":
            columns["status"] = rng.choice(["stuck", "failed"])
        if rng.random() < 0.15:
            columns[rng.choice(BODIES)] = LEFT_OUT
        for _ in range(rng.choice([1, 1, 2]) if rng.random() < self._odd_share else 0):
            columns[rng.choice([*columns, "op", "specversion", "schema", "payload", "__deleted"])] = rng.choice(ODD)
        return {name: content for name, content in columns.items() if rng.random() > 0.01}

    def _body(self) -> object:
        rng = self._rng
        if rng.random() < 0.1 * self._odd_share:
            return rng.choice(ODD)
        texts = {"text": ["t", "long" * 1200], "error": ["e", "é" * 2049], "task": ["t", "", "a\x00\ud800b"]}
        content: dict[str, Any] = {name: rng.choice(texts[name]) for name in texts if rng.random() < 0.3}
        content |= {name: self._time() for name in ("deadline", "silent_since") if rng.random() < 0.7}
        content["delegation_id"] = f"d{self._chapter}-{rng.randint(1, 20)}"
        if rng.random() < 0.2 * self._odd_share:
            content[rng.choice(list(content))] = rng.choice(ODD)
        return json.dumps(content, ensure_ascii=rng.random() < 0.5) if rng.random() < 0.3 else content

    def _time(self) -> object:
        """A time of a narrow range, so that equal and earlier ones are common, in one of its forms."""
        rng = self._rng
        minute = rng.randint(10, 40)
        ms = TEN_MS + minute * 60_000
        if rng.random() < 0.05 * self._odd_share:
            return rng.choice(TIMES + NUMBERS)
        return rng.choice([f"2025-05-05T10:{minute}:00Z", f"2025-05-05T12:{minute}:00.000000+02:00", ms, ms * 1000])

    def _uuid(self) -> str:
        return f"{UUID[:-2]}{self._chapter % 100:02d}{self._rng.randint(0, 9)}"

    def _envelope(self, row: dict[str, Any]) -> object:
        rng, odd = self._rng, self._rng.random() < 0.1 * self._odd_share
        op, ms = rng.choice("ccruu"), rng.choice([*EDGE_MS, None]) if odd else TEN_MS + rng.randint(10, 40) * 60_000
        source = rng.choice([*ODD, {"table": "agents"}]) if odd else {"ts_ms": ms, "table": "activity_logs"}
        change = {"op": op, "before": None, "after": row, "source": source}
        time = rng.choice(ODD) if odd else rng.choice([None, self._time()])
        cloud_event = {"specversion": "1.0", "id": "1", "time": time} | self._data(row)
        deleted = rng.choice(["false", "false", "false", "true", True, None])
        unwrapped = row | {"__op": op, "__source_ts_ms": ms, "__deleted": deleted}
        envelope = rng.choice([row, change, cloud_event, unwrapped])
        return {"schema": {}, "payload": envelope} if rng.random() < 0.2 else envelope

    def _data(self, row: dict[str, Any]) -> dict[str, Any]:
        rng, text = self._rng, json.dumps(row)
        encoded = base64.b64encode(text.encode()).decode()
        usual: list[dict[str, Any]] = [
            {"data": row},
            {"data": text},
            {"data_base64": encoded},
            {"data": None, "data_base64": encoded},
        ]
        odd: list[dict[str, Any]] = [
            {"data": json.dumps(text)},
            {"data_base64": base64.b64encode(json.dumps(text).encode()).decode()},
            {"data_base64": encoded[:-1]},
            {"data_base64": encoded + "\n"},
            {"data": {"before": None, "after": row, "op": "c"}},
            {"data": rng.choice(ODD), "data_base64": rng.choice([encoded, *ODD])},
        ]
        return rng.choice(odd if rng.random() < 0.1 * self._odd_share else usual)

    def _wrapped(self, value: object) -> bytes:
        rng, content = self._rng, _as_json(self._rng, value)
        dice = rng.random()
        if dice < 0.8:
            return content
        text = json.dumps(content.decode()).encode()
        head = b"\x00" + rng.randbytes(4)
        if dice < 0.98 or self._odd_share == 0:
            return head + content if dice < 0.9 else text
        twice = json.dumps(text.decode()).encode()
        bom = b"\xef\xbb\xbf"
        return rng.choice([head + text, head + head + content, twice, bom + content, head + b" " + content, head + bom])


def _as_json(rng: random.Random, value: object) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=rng.random() < 0.5).encode()
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8 form
        return json.dumps(value).encode()


def _no_row(rng: random.Random) -> bytes | None:
    """A record without an activity row."""
    other = {"op": rng.choice("crudtm"), "after": {"name": "x"}, "source": {"table": rng.choice(["agents", 7, None])}}
    marker = {"status": rng.choice(["BEGIN", "END", "NO"]), "event_count": None, "op": rng.choice([None, "c"])}
    values: list[object] = [other, {"schema": 1, "payload": other}, {"ts_ms": 1}, {"ts_ms": 1, "more": 2}, marker]
    values += [None, {"schema": 1, "payload": None}, {"schema": 1, "payload": {"ts_us": 1, "ts_ms": None}}, 5, "x"]
    values += [{"schema": 1, "payload": {"schema": 1, "payload": other}}, {"op": None, "specversion": None}, "null"]
    text = json.dumps(rng.choice(values)).encode()
    return rng.choice([text, text, json.dumps(text.decode()).encode(), None])
