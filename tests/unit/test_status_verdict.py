"""The verdict of `projector status`, and its pace."""

from datetime import timedelta

import pytest
from lagging import MEMBER, NOW, TOPIC, group, partition

from projector.cli.status_verdict import Pace, Verdict, pace, verdict
from projector.lag import Partition
from projector.membership import Groups
from projector.view_state import State


def judge(
    *partitions: Partition, groups: Groups | None = None, at: Pace | None = None, error: str | None = None
) -> Verdict:
    return verdict(TOPIC, error, partitions, groups or group(MEMBER), NOW, at)


@pytest.mark.parametrize(
    ("found", "state", "level", "sentence"),
    [
        (judge(partition()), State.UP_TO_DATE, "good", "every record of topic activity-log is projected"),
        (judge(partition(lag=1, seconds=0.4)), State.BEHIND, "good", "1 record behind, the oldest is 0.4 s old"),
        (judge(partition(lag=5, seconds=61)), State.BEHIND, "bad", "5 records behind"),
        (judge(error="Kafka does not answer"), State.UNKNOWN, "bad", "the lag is unknown: Kafka does not answer"),
        (judge(partition(lag=None, seconds=None)), State.UNKNOWN, "bad", "the lag of some partitions is unknown"),
        (judge(), State.UNKNOWN, "bad", "the lag of some partitions is unknown"),
        (judge(partition(3, gap="another topic", lag=None)), State.GAP, "bad", "at a gap in the log (partition 3)"),
        (judge(partition(lost_records=1, lag=7)), State.GAP, "bad", "`projector run` stops there"),
        (judge(partition(lag=7), groups=group(state="Empty")), State.NO_MEMBER, "bad", "7 records behind"),
        (judge(partition(), groups=group(state="Empty")), State.NO_MEMBER, "bad", "no record waits so far"),
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


def test_pace_is_of_positions_and_ends() -> None:
    before = [partition(0, lag=100), partition(1, lag=0), partition(2, position=None)]
    after = [partition(0, position=150, end=210), partition(1, position=110, end=110), partition(2), partition(3)]
    found = pace(before, after, 2.0)
    assert found == Pace(2.0, 30.0, 10.0)
    assert found.catch_up_seconds(60) == 3.0
    assert Pace(2.0, 10.0, 10.0).catch_up_seconds(60) is None


@pytest.mark.parametrize(
    ("at", "sentence"),
    [
        (Pace(1.0, 1200.0, 200.0), "1,200 records/s projected: caught up in about 5 s"),
        (Pace(1.0, 0.0, 0.0), "0 records/s projected, 0 records/s arrive: the lag does not shrink"),
        (Pace(1.0, 300.0, 500.0), "300 records/s projected, 500 records/s arrive: the lag does not shrink"),
    ],
)
def test_behind_has_the_time_to_catch_up(at: Pace, sentence: str) -> None:
    found = judge(partition(lag=5000, seconds=30), at=at)
    assert (found.state, found.level) == (State.BEHIND, "good")
    assert sentence in found.sentence.replace("5.0 s", "5 s")
