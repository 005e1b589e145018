"""The verdict of `projector status`, and its pace."""

from datetime import timedelta
from typing import Any

import pytest
from builders import at

from projector.cli.status_verdict import Pace, State, Verdict, pace, total_lag, verdict
from projector.kafka.group import Group, Member
from projector.lag import Partition
from projector.membership import Groups

NOW = at(10)
TOPIC = "activity-log"
MEMBER = Member("vm/1", "projector", "host", frozenset({TOPIC}), frozenset({(TOPIC, 0)}))


def partition(number: int = 0, *, lag: int | None = 0, seconds: float | None = 0.0, **more: Any) -> Partition:
    values = dict.fromkeys(Partition._fields) | {
        "partition": number,
        "position": 100,
        "end": None if lag is None else 100 + lag,
        "lag_records": lag,
        "lag_seconds": seconds,
        "lost_records": 0,
        "moved_at": NOW - timedelta(seconds=1),
    }
    return Partition(**(values | more))  # type: ignore[arg-type]


def group(*members: Member, state: str = "Stable", is_classic: bool = True) -> Groups:
    return Groups("g", {"g": Group("g", state, "range", is_classic, members)})


def judge(
    *partitions: Partition, groups: Groups | None = None, at: Pace | None = None, error: str | None = None
) -> Verdict:
    return verdict(TOPIC, error, partitions, groups or group(MEMBER), NOW, at)


@pytest.mark.parametrize(
    ("found", "state", "level", "sentence"),
    [
        (judge(partition()), State.UP_TO_DATE, "good", "every record of topic activity-log is projected"),
        (judge(partition(lag=1, seconds=0.4)), State.BEHIND, "good", "1 record behind, the oldest is 0.4 s old"),
        (judge(partition(lag=5, seconds=61)), State.BEHIND, "note", "5 records behind"),
        (judge(error="Kafka does not answer"), State.UNKNOWN, "bad", "the lag is unknown: Kafka does not answer"),
        (judge(partition(lag=None, seconds=None)), State.UNKNOWN, "bad", "the lag of some partitions is unknown"),
        (judge(), State.UNKNOWN, "bad", "the lag of some partitions is unknown"),
        (judge(partition(3, gap="another topic", lag=None)), State.GAP, "bad", "at a gap in the log (partition 3)"),
        (judge(partition(lost_records=1, lag=7)), State.GAP, "bad", "`projector run` stops there"),
        (judge(partition(lag=7), groups=group(state="Empty")), State.NO_MEMBER, "bad", "7 records behind"),
        (judge(partition(), groups=group(state="Empty")), State.NO_MEMBER, "note", "no record waits so far"),
        (
            judge(partition(2, lag=9, seconds=26, moved_at=NOW - timedelta(seconds=26))),
            State.STANDS_STILL,
            "bad",
            "partition 2 has 9 records and moved 26 s ago",
        ),
        (judge(partition(lag=9, seconds=26, moved_at=None)), State.STANDS_STILL, "bad", "and never moved"),
    ],
)
def test_verdict_names_what_matters_first(found: Verdict, state: State, level: str, sentence: str) -> None:
    assert (found.state, found.level) == (state, level)
    assert sentence in found.sentence


@pytest.mark.parametrize("seconds", [26.0, 5.0])
def test_partition_that_moved_lately_does_not_stand_still(seconds: float) -> None:
    assert judge(partition(lag=9, seconds=seconds)).state is State.BEHIND


def test_group_that_rebalances_or_is_unknown_may_have_members() -> None:
    waiting = partition(lag=1)
    for groups in (group(state="PreparingRebalance"), group(is_classic=False), Groups("g")):
        assert judge(waiting, groups=groups).state is State.BEHIND


def test_member_of_another_group_counts_as_a_member() -> None:
    groups = group(state="Empty")
    other = Group("h", "Stable", "range", True, (MEMBER,))
    assert judge(partition(), groups=groups._replace(described={**groups.described, "h": other})).level == "good"


def test_pace_is_of_positions_and_ends() -> None:
    before = [partition(0, lag=100), partition(1, lag=0), partition(2, position=None)]
    after = [partition(0, position=150, end=210), partition(1, position=110, end=110), partition(2), partition(3)]
    found = pace(before, after, 2.0)
    assert found == Pace(2.0, 30.0, 10.0)
    assert found.catch_up_seconds(60) == 3.0
    assert Pace(2.0, 10.0, 10.0).catch_up_seconds(60) is None


@pytest.mark.parametrize(
    ("at", "level", "sentence"),
    [
        (Pace(1.0, 1200.0, 200.0), "good", "1,200 records/s projected: caught up in about 5 s"),
        (Pace(1.0, 0.0, 0.0), "note", "0 records/s projected, 0 records/s arrive: the lag does not shrink"),
        (Pace(1.0, 300.0, 500.0), "note", "300 records/s projected, 500 records/s arrive: the lag does not shrink"),
    ],
)
def test_behind_has_the_time_to_catch_up(at: Pace, level: str, sentence: str) -> None:
    found = judge(partition(lag=5000, seconds=30), at=at)
    assert (found.state, found.level) == (State.BEHIND, level)
    assert sentence in found.sentence.replace("5.0 s", "5 s")


def test_one_unknown_lag_makes_the_total_unknown() -> None:
    assert total_lag([partition(lag=1), partition(lag=2)]) == 3
    assert total_lag([partition(lag=1), partition(lag=None)]) is None
    assert total_lag([]) is None
