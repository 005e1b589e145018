"""The verdict of `projector status`: whether the view follows the topic, how fast, and what is wrong if it does not."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from projector.cli.output import ago
from projector.lag import Partition
from projector.membership import Groups
from projector.texts import counted, duration
from projector.view_state import Finding, State, findings, oldest_seconds, total_lag


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
    """The state in one sentence. `level`: good or bad."""

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


def verdict(
    topic: str, kafka_error: str | None, partitions: Sequence[Partition], groups: Groups, now: datetime, at: Pace | None
) -> Verdict:
    """What is to be known first. `at`: the pace, if it was measured."""
    first = findings(topic, kafka_error, partitions, groups, now)[0]
    lag = total_lag(partitions) or 0
    match first.state:
        case State.UNKNOWN:
            sentence = f"the lag is unknown: {kafka_error}" if kafka_error else "the lag of some partitions is unknown"
        case State.GAP:
            where = ", ".join(map(str, first.partitions))
            sentence = f"at a gap in the log (partition {where}): `projector run` stops there"
        case State.NO_MEMBER:
            waiting = f"{counted(lag, 'record')} behind" if lag else "no record waits so far"
            sentence = f"no member runs, nothing is projected: {waiting}"
        case State.STANDS_STILL:
            sentence = f"stands still: {_still(first, partitions, now)}"
        case State.UP_TO_DATE:
            sentence = f"up to date: every record of topic {topic} is projected"
        case State.BEHIND:
            sentence = _behind(lag, oldest_seconds(partitions), at)
    return Verdict(first.state, "good" if first.is_good else "bad", sentence)


def _behind(lag: int, seconds: float, at: Pace | None) -> str:
    behind = f"{counted(lag, 'record')} behind, the oldest is {duration(seconds)} old"
    if at is None:
        return behind
    rate = f"{behind}. {at.projected:,.0f} records/s projected"
    if (remaining := at.catch_up_seconds(lag)) is not None:
        return f"{rate}: caught up in about {duration(remaining)}"
    return f"{rate}, {at.arrived:,.0f} records/s arrive: the lag does not shrink"


def _still(found: Finding, partitions: Iterable[Partition], now: datetime) -> str:
    return "; ".join(
        f"partition {each.partition} has {counted(each.lag_records or 0, 'record')} and "
        + ("never moved" if each.moved_at is None else f"moved {ago(each.moved_at, now)}")
        for each in partitions
        if each.partition in found.partitions
    )
