"""The recording of the benchmark: equal records for equal arguments, as bare rows or in Debezium's envelopes.

Half of the records are unrelated. The others belong to delegations, on average four records each: requested, dispatched
(the request's row, updated in place), heartbeat, ended. Bodies have 100 bytes to 4 KB, with sizes uniform in their
logarithm. One of 200 delegation records is repeated, one of 500 delegations ends before its request. A caller's records
are in one partition, in order.
"""

import json
import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from benchmarks.rows import Row, bare, change

SEED = 5
RECORDS = 300_000
PARTITIONS = 6
START = datetime(2026, 1, 5, tzinfo=UTC)
"""The time of the first event."""

_OPEN_DELEGATIONS = 2_000
_TEXTS = 4_000
_TEXTS_BYTES = 20_000_000
_REPEATED_SHARE = 1 / 200
_EARLY_RESULT_EVERY = 500
_INTERVAL = timedelta(milliseconds=3)
_STATUS_SEQUENCES = (
    *[("pending", "dispatched", "heartbeat", "completed")] * 6,
    *[("pending", "dispatched", "heartbeat", "heartbeat", "completed")] * 2,
    ("pending", "dispatched", "heartbeat", "failed"),
    ("pending", "completed"),
)
_UNRELATED = ("a2a_send", "a2a_receive", "tool_call", "llm_call", "task_update")
_VOCABULARY = (
    'the a of build deploy review "quoted" line\nbreak path/to/file.py größer naïve 日本 tab\there agent result report '
    "failing test summary of 17 files changed, see ticket 4711 and retry later please"
)
_WORDS = [json.dumps(word, ensure_ascii=False)[1:-1] for word in _VOCABULARY.split(" ")]
_WORD_BYTES = {word: len(word.encode()) for word in _WORDS}


class Record(NamedTuple):
    """A record to produce; `timestamp` in ms."""

    partition: int
    key: bytes | None
    value: bytes | None
    timestamp: int


class Shape(NamedTuple):
    """Variations of the recording, sizes in bytes. With callers = partitions = 1, all records are in partition 0."""

    smallest: int = 100
    largest: int = 4_096
    callers: int = 600
    partitions: int = PARTITIONS
    unrelated: float = 0.5


def generate(
    count: int = RECORDS, *, seed: int = SEED, debezium: bool = False, shape: Shape | None = None
) -> Iterator[Record]:
    """Yield the records in log order."""
    shape = shape or Shape()
    rng = random.Random(seed)
    rows = _RowGenerator(rng, shape)
    repeated: Record | None = None
    for number in range(count):
        if repeated is not None:
            yield repeated
            repeated = None
            continue
        at = START + _INTERVAL * number
        related = rng.random() >= shape.unrelated
        caller, row = rows.next_change(_iso(at)) if related else rows.unrelated(_iso(at))
        ms = int(at.timestamp() * 1000)
        value = change(row, ms) if debezium else bare(row)
        record = Record(caller % shape.partitions, row.workspace_id.encode(), value.encode(), ms)
        if related and rng.random() < _REPEATED_SHARE:
            repeated = record
        yield record


class _RowGenerator:
    """Generates rows from prepared texts, since it must be faster than a broker."""

    def __init__(self, rng: random.Random, shape: Shape) -> None:
        self._rng = rng
        self._callers = [_uuid(rng) for _ in range(shape.callers)]
        self._texts = [random_text(rng, shape) for _ in range(min(_TEXTS, _TEXTS_BYTES // shape.largest))]
        self._created = 0
        self._open = [self._new_delegation() for _ in range(_OPEN_DELEGATIONS)]

    def unrelated(self, at: str) -> tuple[int, Row]:
        rng = self._rng
        caller = rng.randrange(len(self._callers))
        body = f'{{"text": "{rng.choice(self._texts)}", "tokens": {rng.randrange(5000)}}}'
        kind = rng.choice(_UNRELATED)
        return caller, Row(_uuid(rng), self._callers[caller], kind, _uuid(rng), "message", "ok", at, body)

    def next_change(self, at: str) -> tuple[int, Row]:
        """Return the next row of an open delegation; a new delegation replaces one that ends."""
        place = self._rng.randrange(len(self._open))
        delegation = self._open[place]
        step = delegation.steps.pop()
        if not delegation.steps:
            self._open[place] = self._new_delegation()
        return delegation.caller, self._row(delegation, step, at)

    def _new_delegation(self) -> "_Delegation":
        self._created += 1
        rng = self._rng
        return _Delegation(rng.randrange(len(self._callers)), self._created, rng, rng.choice(self._texts))

    def _row(self, delegation: "_Delegation", step: str, at: str) -> Row:
        id_field = f'"delegation_id": "{delegation.delegation_id}"'
        workspace = self._callers[delegation.caller]
        if step in ("pending", "dispatched"):
            delegation.requested_at = delegation.requested_at or at
            row = Row(
                delegation.row_id, workspace, "delegation", delegation.callee, "delegate", step, delegation.requested_at
            )
            task = f'{{{id_field}, "task": "{delegation.task}"}}'
            return row._replace(request=task, quoted_key=delegation.key, is_update=step == "dispatched")
        row = Row(_uuid(self._rng), workspace, "delegation", delegation.callee, "delegate_result", step, at)
        if step == "heartbeat":
            note = f'{{{id_field}, "note": "still at it, step {self._rng.randrange(40)} of 40"}}'
            return row._replace(method="heartbeat", status="ok", request=note)
        if step == "failed":
            return row._replace(response=f"{{{id_field}}}", quoted_error='"the callee gave up after three attempts"')
        return row._replace(response=f'{{{id_field}, "text": "{self._rng.choice(self._texts)}"}}')


class _Delegation:
    def __init__(self, caller: int, number: int, rng: random.Random, task: str) -> None:
        self.caller = caller
        self.steps = list(reversed(rng.choice(_STATUS_SEQUENCES)))
        if number % _EARLY_RESULT_EVERY == 0:
            self.steps.append(self.steps.pop(0))
        self.row_id, self.delegation_id, self.callee = _uuid(rng), _uuid(rng), _uuid(rng)
        self.task = task
        self.key = f'"order-{number}"' if number % 3 == 0 else "null"
        self.requested_at = ""


def random_text(rng: random.Random, shape: Shape) -> str:
    """Return a text as inside the quotes of JSON; its size is uniform in the logarithm."""
    size = math.exp(rng.uniform(math.log(shape.smallest), math.log(shape.largest)))
    words = [rng.choice(_WORDS)]
    length = _WORD_BYTES[words[0]]
    while True:
        word = rng.choice(_WORDS)
        length += 1 + _WORD_BYTES[word]
        if length > size:
            return " ".join(words)
        words.append(word)


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _uuid(rng: random.Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
