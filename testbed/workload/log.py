"""The activity log itself: many stories at once, and everything that passes by between their changes."""

import heapq
import itertools
import random
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from testbed.recording import AcknowledgedRecord
from testbed.workload.delegation import Change, Delegation
from testbed.workload.feeds import DEFAULT_WEIGHTS, choose_feed
from testbed.workload.malformed import dead_letter
from testbed.workload.scenarios import KINDS, Scenario
from testbed.workload.texts import new_uuid
from testbed.workload.unrelated import connectors_own, unrelated_row

# Brokers refuse times more than an hour ahead of their clock, so this is the past on any machine.
LONG_AGO = datetime(2025, 5, 5, 10, tzinfo=UTC)


class Record(NamedTuple):
    """What a producer sends: key, value, and the record's time in ms."""

    key: bytes | None
    value: bytes | None
    timestamp: int


class Mix(NamedTuple):
    """What a simulated platform writes; equal settings write equal records."""

    delegations: int = 3000
    seed: int = 7
    callers: int = 40
    live: int = 200
    unrelated_share: float = 0.5
    garbage_share: float = 0.01
    connector_share: float = 0.005
    # of debezium, debezium with schemas, unwrapped, bare and cloudevents, in this order
    envelopes: tuple[float, ...] = DEFAULT_WEIGHTS
    repeat_every: int = 4000
    longest_repeat: int = 400
    start: datetime = LONG_AGO


class Telling(NamedTuple):
    """A story in the course of being told; they stand in a heap by the moment of their next change."""

    at: float
    number: int
    delegation: Delegation
    changes: Iterator[Change]


def records(mix: Mix) -> Iterator[Record]:
    """The whole log, in order; ends when every story is told."""
    recent: deque[Record] = deque(maxlen=mix.longest_repeat)
    rng = random.Random(mix.seed)
    written = _Platform(mix).write()
    for number, record in enumerate(written, 1):
        yield record
        recent.append(record)
        if number % mix.repeat_every == 0:
            # the connector was killed before it stored its offset: it starts a stretch before
            again = list(recent)[-rng.randint(1, mix.longest_repeat) :]
            yield from (repeated._replace(timestamp=record.timestamp) for repeated in again)


def partition_of(key: bytes | None, partitions: int) -> int:
    """The same partition for a key on every machine and day."""
    return zlib.crc32(key or b"") % partitions


def logged(log: Iterable[Record], *, topic: str = "activity-log", partitions: int = 6) -> Iterator[AcknowledgedRecord]:
    """The records as they would stand in an empty topic: a recording that no broker was needed for."""
    ends = [0] * partitions
    for record in log:
        partition = partition_of(record.key, partitions)
        yield AcknowledgedRecord(topic, partition, ends[partition], record.timestamp, record.key, record.value)
        ends[partition] += 1


class _Platform:
    def __init__(self, mix: Mix) -> None:
        self._mix = mix
        self._rng = random.Random(mix.seed)
        self._callers = [new_uuid(self._rng) for _ in range(mix.callers)]
        self._now = int(mix.start.timestamp() * 1000)
        self._stories = self._cast()
        self._live = [self._begin(story, n) for n, story in itertools.islice(enumerate(self._stories), mix.live)]
        heapq.heapify(self._live)

    def write(self) -> Iterator[Record]:
        mix, passing_by = self._mix, self._mix.unrelated_share + self._mix.garbage_share + self._mix.connector_share
        while self._live:
            dice = self._rng.random()
            if dice >= passing_by:
                yield from self._tell_on()
            elif dice < mix.unrelated_share:
                yield self._unrelated()
            elif dice < mix.unrelated_share + mix.garbage_share:
                yield Record(self._any_key(), dead_letter(self._rng, self._now), self._now)
            else:
                yield Record(self._any_key() or b"{}", connectors_own(self._rng, self._now), self._now)

    def _cast(self) -> Iterator[Scenario]:
        """Each kind once, so that a short log holds all of them; after that as often as it happens."""
        kinds, weights = list(KINDS), list(itertools.accumulate(KINDS.values()))
        then = (self._rng.choices(kinds, cum_weights=weights)[0] for _ in itertools.count())
        return itertools.islice(itertools.chain(kinds, then), self._mix.delegations)

    def _begin(self, story: Scenario, number: int) -> Telling:
        caller, callee = self._rng.choice(self._callers), self._rng.choice(self._callers)
        delegation = Delegation(self._rng, caller, callee, choose_feed(self._rng, self._mix.envelopes))
        return Telling(self._now + self._rng.random() * 40_000, number, delegation, story(delegation))

    def _tell_on(self) -> Iterator[Record]:
        """The next change of the story whose turn it is; a new story takes the place of one that is told."""
        telling = self._live[0]
        delegation = telling.delegation
        self._now = max(self._now, int(telling.at))
        delegation.set_now(self._now)
        change = next(telling.changes, None)
        if change is not None:
            wait = self._rng.expovariate(1 / 20_000)
            heapq.heapreplace(self._live, telling._replace(at=self._now + wait))
            value = delegation.feed.value(change.op, change.row, change.at)
            yield Record(delegation.caller.encode(), value, self._now)
        elif (story := next(self._stories, None)) is not None:
            heapq.heapreplace(self._live, self._begin(story, telling.number))
        else:
            heapq.heappop(self._live)

    def _unrelated(self) -> Record:
        caller, feed = self._rng.choice(self._callers), choose_feed(self._rng, self._mix.envelopes)
        row = unrelated_row(self._rng, caller, feed, self._now)
        return Record(caller.encode(), feed.value("c", row, self._now), self._now)

    def _any_key(self) -> bytes | None:
        return self._rng.choice([None, b"", b"\xff\xfe", b'{"id":"1"}', self._rng.choice(self._callers).encode()])
