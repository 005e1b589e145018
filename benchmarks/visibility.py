"""When events became visible: the sampler, which is the same for each contender, and its arithmetic.

The sampler reads the largest `updated_at` of each caller, from an index that each contender's table has.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import psycopg

from benchmarks.load import CALLERS, Sent, number_at
from benchmarks.measurement import NotMeasured
from benchmarks.report import percentile

SAMPLE_EVERY_SECONDS = 0.001
MAY_GROW = 0.02
"""It keeps up if the latency grows by at most this part of the time: a contender that is slower falls behind."""

INDEX = "CREATE INDEX latency_sample ON delegations (caller_id, updated_at)"
_NEWEST = """
SELECT (SELECT max(updated_at) FROM public.delegations WHERE caller_id = caller)
  FROM unnest(%s::uuid[]) WITH ORDINALITY AS callers (caller, number) ORDER BY number
"""


class Behind(NotMeasured):
    """Events were not visible in time."""


class Sample(NamedTuple):
    """The time of a sample in seconds, and by caller the number of its last visible event, -1 for none."""

    at: float
    newest: Sequence[int]


class Sampler:
    """Samples one database, and calls `check` about once per second."""

    def __init__(self, conn: psycopg.Connection[Any], check: Callable[[], None]) -> None:
        self._conn, self._check = conn, check
        self._check_at = 0.0
        self.samples: list[Sample] = []
        conn.execute("SET enable_seqscan = off")  # the planner would read a small table as a whole
        conn.execute("SET enable_bitmapscan = off")

    def until(self, end: float) -> None:
        """Sample until this time."""
        while self._sample().at < end:
            pass

    def until_visible(self, count: int, *, deadline: float) -> None:
        """Sample until `count` events are visible. Raises Behind."""
        wanted = [_last(caller, count) for caller in range(len(CALLERS))]
        while True:
            at, newest = self._sample()
            missing = max(last - seen for last, seen in zip(wanted, newest, strict=True))
            if missing <= 0:
                return
            if at > deadline:
                raise Behind(f"it fell behind: the last {missing:,} events were not visible in time")

    def _sample(self) -> Sample:
        """Take a sample, and wait until the next one is due."""
        rows = self._conn.execute(_NEWEST, [CALLERS], prepare=True).fetchall()
        sample = Sample(time.monotonic(), [number_at(newest) for (newest,) in rows])
        self.samples.append(sample)
        if sample.at > self._check_at:
            self._check()
            self._check_at = sample.at + 1.0
        time.sleep(max(0.0, sample.at + SAMPLE_EVERY_SECONDS - time.monotonic()))
        return sample


def _last(caller: int, count: int) -> int:
    """Return the largest number below `count` of this caller's events."""
    return count - 1 - (count - 1 - caller) % len(CALLERS)


def visible_times(samples: Sequence[Sample], first: int, count: int) -> list[float]:
    """Return for each event, from number `first` on, the time of the first sample that shows it or a later one."""
    times = [0.0] * (count - first)
    unseen = [first + (caller - first) % len(CALLERS) for caller in range(len(CALLERS))]
    for at, newest in samples:
        for caller, last in enumerate(newest):
            for number in range(unseen[caller], min(last + 1, count), len(CALLERS)):
                times[number - first] = at
                unseen[caller] = number + len(CALLERS)
    return times


def keeps_up(latencies: Sequence[float], seconds: float) -> bool:
    """Whether latencies, in order of sending over this time, do not grow: by the medians of the first and last third.

    The unit of both is the same. Two thirds of the time are between the middles of both thirds.
    """
    third = max(1, len(latencies) // 3)
    growth = statistics.median(latencies[-third:]) - statistics.median(latencies[:third])
    return growth <= MAY_GROW * seconds


def summary(sent: Sent, visible: Sequence[float], skip: int, samples: Sequence[Sample]) -> dict[str, float]:
    """Return the figures of all events but the first `skip`, in ms."""
    at = sent.at[skip:]
    latencies = [1000 * (end - begin) for begin, end in zip(at, visible[skip:], strict=True)]
    acknowledged = sorted(1000 * (end - begin) for begin, end in zip(at, sent.acknowledged[skip:], strict=True))
    seconds = at[-1] - at[0]
    ordered = sorted(latencies)
    p50, acknowledged_p50 = percentile(ordered, 0.5), percentile(acknowledged, 0.5)
    return {
        "p50": p50,
        "p99": percentile(ordered, 0.99),
        "max": ordered[-1],
        "acknowledged_p50": acknowledged_p50,
        "acknowledged_p99": percentile(acknowledged, 0.99),
        "added_p50": p50 - acknowledged_p50,
        "keeps_up": keeps_up(latencies, 1000 * seconds),
        "events": len(at),
        "sent_per_second": (len(at) - 1) / seconds,
        "sample_interval": 1000 * statistics.median(now.at - before.at for before, now in pairwise(samples)),
        "sender_cores": sent.cores,
    }
