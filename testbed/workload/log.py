"""The activity log: many delegations at once, with unrelated records between their changes."""

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
from testbed.workload.feeds import DEFAULT_WEIGHTS, Feed, choose_feed
from testbed.workload.malformed import malformed_value
from testbed.workload.scenarios import SCENARIO_WEIGHTS, Scenario
from testbed.workload.texts import new_uuid
from testbed.workload.unrelated import connector_record, other_table_event, unrelated_row
from testbed.workload.verdicts import VERDICT_WEIGHTS

# In the past on any machine: brokers refuse timestamps more than one hour ahead of their clock.
DEFAULT_START = datetime(2025, 5, 5, 10, tzinfo=UTC)


class Record(NamedTuple):
    """A record to produce; `timestamp` in ms."""

    key: bytes | None
    value: bytes | None
    timestamp: int


class Mix(NamedTuple):
    """Settings of the simulated platform; equal settings write equal records.

    `live` is the number of delegations in flight at once. The shares are of all records, but `wrapped_share` and
    `numeric_share` are of all writers: those with a wrapping, and those whose times are numbers.
    """

    delegations: int = 3000
    seed: int = 7
    callers: int = 40
    live: int = 200
    unrelated_share: float = 0.5
    malformed_share: float = 0.01
    connector_share: float = 0.005
    # weights in the order of feeds.ENVELOPES
    envelopes: tuple[float, ...] = DEFAULT_WEIGHTS
    wrapped_share: float = 0.1
    numeric_share: float = 0.1
    verdicts: bool = True
    repeat_every: int = 4000
    longest_repeat: int = 400
    start: datetime = DEFAULT_START


class ActiveDelegation(NamedTuple):
    """A delegation with changes to come; the heap orders them by the time of the next change, in ms."""

    at: float
    number: int
    delegation: Delegation
    changes: Iterator[Change]


def records(mix: Mix) -> Iterator[Record]:
    """Yield the whole log in order, until every delegation has made all its changes."""
    recent: deque[Record] = deque(maxlen=mix.longest_repeat)
    rng = random.Random(mix.seed)
    written = _Generator(mix).records()
    for number, record in enumerate(written, 1):
        yield record
        recent.append(record)
        if number % mix.repeat_every == 0:
            # the connector was killed before it stored its offset: it repeats the last records
            repeated = list(recent)[-rng.randint(1, mix.longest_repeat) :]
            yield from (earlier._replace(timestamp=record.timestamp) for earlier in repeated)


def partition_of(key: bytes | None, partitions: int) -> int:
    """Return the partition of a key, the same on every machine."""
    return zlib.crc32(key or b"") % partitions


def with_offsets(
    log: Iterable[Record], *, topic: str = "activity-log", partitions: int = 6
) -> Iterator[AcknowledgedRecord]:
    """Yield the records with partitions and offsets, as in an empty topic, without a broker."""
    ends = [0] * partitions
    for record in log:
        partition = partition_of(record.key, partitions)
        yield AcknowledgedRecord(topic, partition, ends[partition], record.timestamp, record.key, record.value)
        ends[partition] += 1


class _Generator:
    def __init__(self, mix: Mix) -> None:
        self._mix = mix
        self._rng = random.Random(mix.seed)
        self._callers = [new_uuid(self._rng) for _ in range(mix.callers)]
        self._now = int(mix.start.timestamp() * 1000)
        self._scenarios = self._choose_scenarios()
        first = itertools.islice(enumerate(self._scenarios), mix.live)
        self._active = [self._start(scenario, number) for number, scenario in first]
        heapq.heapify(self._active)

    def records(self) -> Iterator[Record]:
        mix, other_share = self._mix, self._mix.unrelated_share + self._mix.malformed_share + self._mix.connector_share
        while self._active:
            dice = self._rng.random()
            if dice >= other_share:
                yield from self._next_change()
            elif dice < mix.unrelated_share:
                yield self._unrelated()
            elif dice < mix.unrelated_share + mix.malformed_share:
                yield Record(self._any_key(), malformed_value(self._rng, self._now), self._now)
            else:
                yield Record(self._any_key() or b"{}", connector_record(self._rng, self._now), self._now)

    def _choose_scenarios(self) -> Iterator[Scenario]:
        """Each scenario once, so that a short log has all of them; after that by their weights."""
        chosen = {
            each: weight
            for each, weight in SCENARIO_WEIGHTS.items()
            if self._mix.verdicts or each not in VERDICT_WEIGHTS
        }
        scenarios, weights = list(chosen), list(itertools.accumulate(chosen.values()))
        weighted = (self._rng.choices(scenarios, cum_weights=weights)[0] for _ in itertools.count())
        return itertools.islice(itertools.chain(scenarios, weighted), self._mix.delegations)

    def _start(self, scenario: Scenario, number: int) -> ActiveDelegation:
        caller, callee = self._rng.choice(self._callers), self._rng.choice(self._callers)
        delegation = Delegation(self._rng, caller, callee, self._choose_feed())
        return ActiveDelegation(self._now + self._rng.random() * 40_000, number, delegation, scenario(delegation))

    def _next_change(self) -> Iterator[Record]:
        """Yield the next change; without one, the delegation has ended and another takes its place."""
        active = self._active[0]
        delegation = active.delegation
        self._now = max(self._now, int(active.at))
        delegation.set_now(self._now)
        change = next(active.changes, None)
        if change is not None:
            wait = self._rng.expovariate(1 / 20_000)
            heapq.heapreplace(self._active, active._replace(at=self._now + wait))
            value = delegation.feed.value(change.op, change.row, change.at)
            yield Record(delegation.caller.encode(), value, self._now)
        elif (scenario := next(self._scenarios, None)) is not None:
            heapq.heapreplace(self._active, self._start(scenario, active.number))
        else:
            heapq.heappop(self._active)

    def _unrelated(self) -> Record:
        caller, feed = self._rng.choice(self._callers), self._choose_feed()
        if feed.envelope.startswith("debezium") and self._rng.random() < 0.1:
            return Record(self._any_key(), feed.wrap(other_table_event(self._rng, self._now)), self._now)
        row = unrelated_row(self._rng, caller, feed, self._now)
        return Record(caller.encode(), feed.value("c", row, self._now), self._now)

    def _choose_feed(self) -> Feed:
        shares = {"wrapped_share": self._mix.wrapped_share, "numeric_share": self._mix.numeric_share}
        return choose_feed(self._rng, self._mix.envelopes, **shares)

    def _any_key(self) -> bytes | None:
        return self._rng.choice([None, b"", b"\xff\xfe", b'{"id":"1"}', self._rng.choice(self._callers).encode()])
