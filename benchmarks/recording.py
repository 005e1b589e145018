"""The recording of the bench: always the same records for the same arguments, as bare rows or in Debezium's envelopes.

Half of the records are unrelated. The others tell stories of delegations, four records each on average: requested,
dispatched (the request's row again, as the platform updates it in place), kept alive, ended. Bodies have 100 bytes to
4 KB, with sizes spread evenly over their logarithm. One record of a story in 200 comes twice, one story in 500 ends
before it is requested. A caller's records are in one partition, in the order of their stories.
"""

import json
import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from benchmarks.rows import Row, bare, change

SEED = 5
RECORDS = 1_000_000
PARTITIONS = 6

_OPEN_STORIES = 2_000
_TEXTS = 4_000
_TEXTS_BYTES = 20_000_000
_TWICE = 1 / 200
_EARLY = 500
_START = datetime(2026, 1, 5, tzinfo=UTC)
_BETWEEN = timedelta(milliseconds=3)
_STORIES = (
    *[("pending", "dispatched", "heartbeat", "completed")] * 6,
    *[("pending", "dispatched", "heartbeat", "heartbeat", "completed")] * 2,
    ("pending", "dispatched", "heartbeat", "failed"),
    ("pending", "completed"),
)
_UNRELATED = ("a2a_send", "a2a_receive", "tool_call", "llm_call", "task_update")
_SAID = (
    'the a of build deploy review "quoted" line\nbreak path/to/file.py größer naïve 日本 tab\there agent result report '
    "failing test summary of 17 files changed, see ticket 4711 and retry later please"
)
_WRITTEN = [json.dumps(word, ensure_ascii=False)[1:-1] for word in _SAID.split(" ")]
_SIZES = {word: len(word.encode()) for word in _WRITTEN}


class Made(NamedTuple):
    """A record to be sent; `timestamp` in ms."""

    partition: int
    key: bytes | None
    value: bytes | None
    timestamp: int


class Shape(NamedTuple):
    """What can be otherwise. With callers = partitions = 1, all is in partition 0."""

    smallest: int = 100
    largest: int = 4_096
    callers: int = 600
    partitions: int = PARTITIONS
    unrelated: float = 0.5


def made(
    records: int = RECORDS, *, seed: int = SEED, debezium: bool = False, shape: Shape | None = None
) -> Iterator[Made]:
    """The records, in the order in which the platform writes them."""
    shape = shape or Shape()
    draw = random.Random(seed)
    platform = _Platform(draw, shape)
    again: Made | None = None
    for number in range(records):
        if again is not None:
            yield again
            again = None
            continue
        at = _START + _BETWEEN * number
        related = draw.random() >= shape.unrelated
        caller, row = platform.step(_text(at)) if related else platform.unrelated(_text(at))
        ms = int(at.timestamp() * 1000)
        value = change(row, ms) if debezium else bare(row)
        found = Made(caller % shape.partitions, row.workspace_id.encode(), value.encode(), ms)
        if related and draw.random() < _TWICE:
            again = found
        yield found


class _Platform:
    """Makes rows out of texts that were made before: a generator must outrun a broker."""

    def __init__(self, draw: random.Random, shape: Shape) -> None:
        self._draw = draw
        self._callers = [_uuid(draw) for _ in range(shape.callers)]
        self._texts = [_words(draw, shape) for _ in range(min(_TEXTS, _TEXTS_BYTES // shape.largest))]
        self._begun = 0
        self._open = [self._begin() for _ in range(_OPEN_STORIES)]

    def unrelated(self, at: str) -> tuple[int, Row]:
        draw = self._draw
        caller = draw.randrange(len(self._callers))
        body = f'{{"text": "{draw.choice(self._texts)}", "tokens": {draw.randrange(5000)}}}'
        kind = draw.choice(_UNRELATED)
        return caller, Row(_uuid(draw), self._callers[caller], kind, _uuid(draw), "message", "ok", at, body)

    def step(self, at: str) -> tuple[int, Row]:
        """The next row of a story that is open; one that ends makes room for another."""
        place = self._draw.randrange(len(self._open))
        story = self._open[place]
        step = story.steps.pop()
        if not story.steps:
            self._open[place] = self._begin()
        return story.caller, self._row(story, step, at)

    def _begin(self) -> "_Story":
        self._begun += 1
        draw = self._draw
        return _Story(draw.randrange(len(self._callers)), self._begun, draw, draw.choice(self._texts))

    def _row(self, story: "_Story", step: str, at: str) -> Row:
        named = f'"delegation_id": "{story.delegation_id}"'
        workspace = self._callers[story.caller]
        if step in ("pending", "dispatched"):
            story.requested_at = story.requested_at or at
            row = Row(story.row_id, workspace, "delegation", story.callee, "delegate", step, story.requested_at)
            task = f'{{{named}, "task": "{story.task}"}}'
            return row._replace(request=task, quoted_key=story.key, is_update=step == "dispatched")
        row = Row(_uuid(self._draw), workspace, "delegation", story.callee, "delegate_result", step, at)
        if step == "heartbeat":
            note = f'{{{named}, "note": "still at it, step {self._draw.randrange(40)} of 40"}}'
            return row._replace(method="heartbeat", status="ok", request=note)
        if step == "failed":
            return row._replace(response=f"{{{named}}}", quoted_error='"the callee gave up after three attempts"')
        return row._replace(response=f'{{{named}, "text": "{self._draw.choice(self._texts)}"}}')


class _Story:
    def __init__(self, caller: int, number: int, draw: random.Random, task: str) -> None:
        self.caller = caller
        self.steps = list(reversed(draw.choice(_STORIES)))
        if number % _EARLY == 0:
            self.steps.append(self.steps.pop(0))
        self.row_id, self.delegation_id, self.callee = _uuid(draw), _uuid(draw), _uuid(draw)
        self.task = task
        self.key = f'"order-{number}"' if number % 3 == 0 else "null"
        self.requested_at = ""


def _words(draw: random.Random, shape: Shape) -> str:
    """A text as it stands within quotes in JSON, its size drawn evenly from the logarithm of sizes."""
    size = math.exp(draw.uniform(math.log(shape.smallest), math.log(shape.largest)))
    words = [draw.choice(_WRITTEN)]
    length = _SIZES[words[0]]
    while True:
        word = draw.choice(_WRITTEN)
        length += 1 + _SIZES[word]
        if length > size:
            return " ".join(words)
        words.append(word)


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _uuid(draw: random.Random) -> str:
    digits = f"{draw.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
