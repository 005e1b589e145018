"""Whether the view follows the topic: the one set of rules, which `projector status` and the dashboard show."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from projector.lag import Partition
from projector.membership import Groups

_STILL = timedelta(seconds=10)
"""A partition with older records whose position did not move for this time stands still."""
_LATE_SECONDS = 60.0
"""As the alert ProjectorBehind has it (deploy/prometheus/rules.yaml)."""


class State(StrEnum):
    """How the view follows the topic; the values are part of `status --json`."""

    UP_TO_DATE = "up_to_date"
    BEHIND = "behind"
    STANDS_STILL = "stands_still"
    NO_MEMBER = "no_member"
    GAP = "gap"
    UNKNOWN = "unknown"


class Finding(NamedTuple):
    """One state that was found. `partitions`: those at a gap, or those that stand still."""

    state: State
    is_good: bool
    partitions: list[int]


def findings(
    topic: str, kafka_error: str | None, partitions: Sequence[Partition], groups: Groups, now: datetime
) -> list[Finding]:
    """All that was found, at least one, what matters most first."""
    if kafka_error:
        return [Finding(State.UNKNOWN, False, [])]
    lag, found = total_lag(partitions), []
    if gaps := [each.partition for each in partitions if each.is_at_gap]:
        found.append(Finding(State.GAP, False, gaps))
    if lag is None:
        found.append(Finding(State.UNKNOWN, False, []))
    if groups.has_no_member(topic):
        found.append(Finding(State.NO_MEMBER, False, []))
    elif still := [each.partition for each in partitions if _stands_still(each, now)]:
        found.append(Finding(State.STANDS_STILL, False, still))
    if lag:
        found.append(Finding(State.BEHIND, oldest_seconds(partitions) <= _LATE_SECONDS, []))
    elif lag == 0 and not gaps:
        found.append(Finding(State.UP_TO_DATE, True, []))
    return found


def total_lag(partitions: Iterable[Partition]) -> int | None:
    """The lag of all partitions, None if that of one is unknown."""
    lags = [each.lag_records for each in partitions]
    return None if None in lags or not lags else sum(lag for lag in lags if lag)


def oldest_seconds(partitions: Iterable[Partition]) -> float:
    """The age of the oldest record that is not projected; 0 if there is none."""
    return max((each.lag_seconds or 0.0 for each in partitions if each.lag_records), default=0.0)


def _stands_still(partition: Partition, now: datetime) -> bool:
    if not partition.lag_records or (partition.lag_seconds or 0.0) <= _STILL.total_seconds() or partition.is_at_gap:
        return False
    return partition.moved_at is None or now - partition.moved_at > _STILL
