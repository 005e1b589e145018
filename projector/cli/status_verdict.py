"""The verdict of `projector status`: whether the view follows the topic, how fast, and what is wrong if it does not."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from projector.lag import Partition
from projector.membership import Groups
from projector.texts import counted, duration

STILL = timedelta(seconds=10)
"""A partition with older records whose position did not move for this time stands still."""
_LATE_SECONDS = 60.0


class State(StrEnum):
    """How the view follows the topic; the values are part of `status --json`."""

    UP_TO_DATE = "up_to_date"
    BEHIND = "behind"
    STANDS_STILL = "stands_still"
    NO_MEMBER = "no_member"
    GAP = "gap"
    UNKNOWN = "unknown"


class Pace(NamedTuple):
    """Offsets per second, between two looks that were `seconds` apart: those projected, and those that arrived."""

    seconds: float
    projected: float
    arrived: float

    def catch_up_seconds(self, lag: int) -> float | None:
        """How long the lag takes at this pace. None if it does not shrink."""
        shrinks = self.projected - self.arrived
        return lag / shrinks if shrinks > 0 else None


class Verdict(NamedTuple):
    """The state in one sentence. `level`: good, note or bad."""

    state: State
    level: str
    sentence: str


def pace(before: Iterable[Partition], after: Iterable[Partition], seconds: float) -> Pace:
    """The pace between two looks at the partitions."""
    first = {each.partition: each for each in before}
    both = [(first[each.partition], each) for each in after if each.partition in first]
    projected = sum(new.position - old.position for old, new in both if old.position is not None and new.position)
    arrived = sum(new.end - old.end for old, new in both if old.end is not None and new.end)
    return Pace(seconds, projected / seconds, arrived / seconds)


def total_lag(partitions: Iterable[Partition]) -> int | None:
    """The lag of all partitions, None if that of one is unknown."""
    lags = [each.lag_records for each in partitions]
    return None if None in lags or not lags else sum(lag for lag in lags if lag)


def verdict(
    topic: str, kafka_error: str | None, partitions: Sequence[Partition], groups: Groups, now: datetime, at: Pace | None
) -> Verdict:
    """What is to be known first. `at`: the pace, if it was measured."""
    if kafka_error:
        return Verdict(State.UNKNOWN, "bad", f"the lag is unknown: {kafka_error}")
    if gaps := [each.partition for each in partitions if each.gap or each.lost_records]:
        where = ", ".join(map(str, gaps))
        return Verdict(State.GAP, "bad", f"at a gap in the log (partition {where}): `projector run` stops there")
    lag = total_lag(partitions)
    if lag is None:
        return Verdict(State.UNKNOWN, "bad", "the lag of some partitions is unknown")
    if _is_without_members(topic, groups):
        waiting = f"{counted(lag, 'record')} behind" if lag else "no record waits so far"
        return Verdict(State.NO_MEMBER, "bad" if lag else "note", f"no member runs, nothing is projected: {waiting}")
    if still := [each for each in partitions if _stands_still(each, now)]:
        where = "; ".join(_still(each, now) for each in still)
        return Verdict(State.STANDS_STILL, "bad", f"stands still: {where}")
    if not lag:
        return Verdict(State.UP_TO_DATE, "good", f"up to date: every record of topic {topic} is projected")
    return _behind(lag, max(each.lag_seconds or 0.0 for each in partitions if each.lag_records), at)


def _behind(lag: int, seconds: float, at: Pace | None) -> Verdict:
    behind = f"{counted(lag, 'record')} behind, the oldest is {duration(seconds)} old"
    level = "note" if seconds > _LATE_SECONDS else "good"
    if at is None:
        return Verdict(State.BEHIND, level, behind)
    rate = f"{behind}. {at.projected:,.0f} records/s projected"
    if (remaining := at.catch_up_seconds(lag)) is not None:
        return Verdict(State.BEHIND, level, f"{rate}: caught up in about {duration(remaining)}")
    return Verdict(State.BEHIND, "note", f"{rate}, {at.arrived:,.0f} records/s arrive: the lag does not shrink")


def _is_without_members(topic: str, groups: Groups) -> bool:
    """Whether no member reads the topic. A group that rebalances or is unknown may have members."""
    if groups.ours is None or not groups.ours.is_settled:
        return False
    return not any(topic in member.topics for group in groups.described.values() for member in group.members)


def _stands_still(partition: Partition, now: datetime) -> bool:
    if not partition.lag_records or (partition.lag_seconds or 0.0) <= STILL.total_seconds():
        return False
    return partition.moved_at is None or now - partition.moved_at > STILL


def _still(partition: Partition, now: datetime) -> str:
    moved = "never moved" if partition.moved_at is None else f"moved {_ago(partition.moved_at, now)}"
    return f"partition {partition.partition} has {counted(partition.lag_records or 0, 'record')} and {moved}"


def _ago(at: datetime, now: datetime) -> str:
    return f"{duration((now - at).total_seconds())} ago"
