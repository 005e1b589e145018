"""The state of the view: the same facts give the same answer in `projector status` and on the dashboard."""

from datetime import timedelta
from typing import NamedTuple

import pytest
from lagging import MEMBER, NOW, TOPIC, group, partition

from projector.cli.status_verdict import verdict
from projector.kafka.group import Group
from projector.lag import Partition
from projector.membership import Groups
from projector.postgres.views_overview import Leftovers
from projector.view_state import Finding, State, findings, total_lag
from projector.web.condition import Facts, condition
from projector.web.reader import TopicView
from projector.web.refreshed import Snapshot

BY_ANOTHER_GROUP = Groups("g", {**group().described, "h": Group("h", "Stable", "range", True, (MEMBER,))})
LATE, STILL = 61.0, NOW - timedelta(seconds=11)


class Case(NamedTuple):
    partitions: list[Partition]
    found: list[Finding]
    groups: Groups = group(MEMBER)
    kafka_error: str | None = None


GOOD = Finding(State.UP_TO_DATE, True, [])
BEHIND, TOO_LATE = Finding(State.BEHIND, True, []), Finding(State.BEHIND, False, [])
UNKNOWN, NO_MEMBER = Finding(State.UNKNOWN, False, []), Finding(State.NO_MEMBER, False, [])
CASES = [
    Case([partition()], [GOOD]),
    Case([partition(lag=1, seconds=60.0)], [BEHIND]),
    Case([partition(), partition(1, lag=1, seconds=LATE)], [TOO_LATE]),
    Case([partition()], [UNKNOWN], kafka_error="no route to host"),
    Case([partition(), partition(1, lag=None)], [UNKNOWN]),
    Case([], [UNKNOWN]),
    Case([partition(3, gap="another topic", lag=None)], [Finding(State.GAP, False, [3]), UNKNOWN]),
    Case([partition(4, lost_records=7), partition(5)], [Finding(State.GAP, False, [4])]),
    Case([partition(lost_records=7, lag=9, seconds=LATE, moved_at=STILL)], [Finding(State.GAP, False, [0]), TOO_LATE]),
    Case([partition(lag=7)], [NO_MEMBER, BEHIND], group()),
    Case([partition()], [NO_MEMBER, GOOD], group(state="Empty")),
    Case([partition(lag=9, seconds=LATE, moved_at=STILL)], [NO_MEMBER, TOO_LATE], group()),
    Case([partition(2, lag=9, seconds=11.0, moved_at=STILL)], [Finding(State.STANDS_STILL, False, [2]), BEHIND]),
    Case([partition(lag=9, seconds=11.0, moved_at=None)], [Finding(State.STANDS_STILL, False, [0]), BEHIND]),
    Case([partition(lag=9, seconds=9.0, moved_at=STILL)], [BEHIND]),
    *(
        Case([partition(lag=1)], [BEHIND], groups)  # members that are unknown may run
        for groups in (group(state="PreparingRebalance"), group(is_classic=False), Groups("g"), BY_ANOTHER_GROUP)
    ),
]


@pytest.mark.parametrize("case", CASES)
def test_status_and_dashboard_agree(case: Case) -> None:
    found = findings(TOPIC, case.kafka_error, case.partitions, case.groups, NOW)
    assert found == case.found
    topic = TopicView(case.partitions, [], None, case.kafka_error, False, None, found)
    facts = Facts(NOW, Snapshot(topic, NOW), {}, 0, Leftovers(0, 0, None, 0), 60.0)
    shown = condition(facts)[: len(found)]
    of_status = verdict(TOPIC, case.kafka_error, case.partitions, case.groups, NOW, None)
    assert [str(each.level) for each in shown] == ["good" if each.is_good else "bad" for each in found]
    assert (of_status.state, of_status.level) == (found[0].state, shown[0].level)


def test_one_unknown_lag_makes_the_total_unknown() -> None:
    assert total_lag([partition(lag=1), partition(lag=2)]) == 3
    assert total_lag([partition(lag=1), partition(lag=None)]) is None
    assert total_lag([]) is None
