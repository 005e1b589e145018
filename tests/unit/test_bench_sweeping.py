"""The arithmetic of the benchmark of the sweeper, and that it refuses a plan without an index."""

from functools import partial

import pytest

from benchmarks.measurement import Failed
from benchmarks.sweeping import BASELINE, Step, measured, require_index, rows, scans

STEP = Step("silent scan", list, "idx_delegations_inflight_heartbeat")
PLAN = """Limit  (cost=0.41..1.20 rows=5 width=120)
  ->  Index Scan using idx_delegations_inflight_heartbeat on delegations  (cost=0.41..9.1 rows=50 width=120)
        Index Cond: (last_heartbeat < now())"""


def test_plan_with_its_index_is_accepted() -> None:
    assert scans(require_index(STEP, PLAN)) == ["Index Scan using idx_delegations_inflight_heartbeat"]


@pytest.mark.parametrize(
    "plan",
    [
        PLAN + "\n  ->  Seq Scan on activity_logs a  (cost=0.00..9.0 rows=5 width=1)",
        PLAN.replace("Index Scan using idx_delegations_inflight_heartbeat", "Parallel Seq Scan"),
        PLAN.replace("idx_delegations_inflight_heartbeat", "idx_delegations_callee_created"),
    ],
    ids=["one table as a whole", "the other one, in parallel", "another index"],
)
def test_plan_without_it_is_refused(plan: str) -> None:
    with pytest.raises(Failed, match=r"silent scan: .*idx_delegations_inflight_heartbeat"):
        require_index(STEP, plan)


def test_ratio_is_to_the_baseline_of_the_same_round() -> None:
    lines = rows({BASELINE: [0.001, 0.010, 0.002], "check": [0.003, 0.030, 0.008]})
    assert lines == [
        [BASELINE, "2.0", "1.00", "1.00 to 1.00"],
        ["check", "8.0", "3.00", "3.00 to 4.00"],
    ]


def test_first_round_warms_up_and_steps_take_turns() -> None:
    called: list[str] = []

    def run(name: str) -> list[str]:
        called.append(name)
        return called

    seconds = measured([Step(name, partial(run, name), "") for name in ("one", "two")], 2)
    assert {name: len(each) for name, each in seconds.items()} == {"one": 2, "two": 2}
    assert called == ["one", "two"] * 3
