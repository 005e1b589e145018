"""The judge of a log in which writers and sweepers raced: it knows each fault that a test here commits on purpose."""

from typing import Any

import pytest
from oracle_table import Table, at
from rows import CALLEE, CALLER, answer, delegate, heartbeat, updated, verdict

from testbed.oracle import Judgement

SAW_NOTHING = "1:1:"


def judged(minute: int, *, silent: int = 1, rule: str = "silence", **columns: Any) -> dict[str, Any]:
    """A verdict as the sweeper writes it; of the rule `deadline`, `silent` is the minute of the deadline."""
    if rule == "deadline":
        row = verdict(minute, "failed", silent=None)
        row["request_body"] |= {"deadline": at(silent).isoformat()}
    else:
        row = verdict(minute, "stuck", silent=silent)
    row["request_body"] |= {"rule": rule}
    return row | {"workspace_id": CALLER, "source_id": CALLER, "target_id": CALLEE} | columns


def test_true_verdict_has_no_fault(table: Table) -> None:
    table.write(judged(15))
    [judgement] = table.judge()
    assert judgement == Judgement("d-1", "silence", 0, len(table.log) - 1, "advanced", False, ())


def test_true_deadline_has_no_fault(table: Table) -> None:
    table.chat(range(60, 370))
    table.write(judged(362, silent=360, rule="deadline"))
    assert [(each.outcome, each.faults) for each in table.judge()] == [("advanced", ())]


def test_overtaken_verdict_is_no_fault_if_nobody_could_know(table: Table) -> None:
    """The heartbeat was committed while the verdict was being written, and stands before it in the log."""
    table.write(heartbeat(14) | {"workspace_id": CALLER})
    table.write(judged(15), snapshot=SAW_NOTHING)
    assert [(each.outcome, each.overtaken, each.faults) for each in table.judge()] == [("stale", True, ())]


def test_verdict_against_a_heartbeat_that_was_there_is_a_fault(table: Table) -> None:
    table.write(heartbeat(14) | {"workspace_id": CALLER})
    table.write(judged(15))
    [fault] = table.faults()
    assert "heartbeat of 2025-05-05 10:14:00+00:00 was there when it was written" in fault


def test_verdict_against_an_answer_that_was_there_is_a_fault(table: Table) -> None:
    table.write(answer(0, "completed"))
    table.write(judged(15))
    assert "delegate_result" in table.faults()[0]


def test_verdict_against_a_working_callee_is_a_fault(table: Table) -> None:
    table.chat([14], CALLEE)
    table.write(judged(15))
    assert "agent_log" in table.faults()[0]


def test_report_without_change_that_lies_before_an_effective_verdict_is_a_fault(table: Table) -> None:
    """The fold passes over a report of the status that the row has; the sweeper must not."""
    table.write(answer(14, "dispatched"))
    table.write(judged(15), snapshot=SAW_NOTHING)
    assert "it changed the row" in table.faults()[0]


def test_update_in_place_without_change_is_no_sign_of_life(table: Table) -> None:
    """Nobody can date it: the row has the time of its request."""
    table.carry(updated(delegate(0, "dispatched", source_id=CALLER), 14))
    table.write(judged(15))
    assert table.faults() == []


def test_second_verdict_on_the_same_evidence_is_a_fault(table: Table) -> None:
    table.write(judged(15))
    table.write(judged(16))
    assert "a second verdict on the evidence" in table.faults()[0]


def test_record_that_the_feed_repeats_is_judged_once(table: Table) -> None:
    table.write(judged(15))
    table.log.append(table.log[-1]._replace(offset=len(table.log)))
    assert len(table.judge()) == 1


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (judged(11), "judged at"),
        (judged(15, rule="hunger"), "its rule is hunger"),
        (judged(15) | {"status": "failed"}, "failed for the rule silence"),
        (judged(15, target_id=CALLER), "target_id is"),
        (judged(15, silent=16, rule="deadline"), "the deadline is"),
        (judged(360, silent=360, rule="deadline"), "within the grace"),
        (judged(370), "the deadline alone decides"),
    ],
)
def test_verdict_that_breaks_a_rule_is_a_fault(table: Table, row: dict[str, Any], fault: str) -> None:
    table.chat(range(60, 380))
    table.write(row)
    assert any(fault in each for each in table.faults()), table.faults()


def test_verdict_during_a_silence_of_the_platform_is_a_fault() -> None:
    table = Table()
    table.write(delegate(0, "dispatched", source_id=CALLER))
    table.write(heartbeat(1))
    table.chat([15, 16])
    table.write(judged(16))
    assert "the platform itself until 2025-05-05 10:15:00+00:00" in table.faults()[0]


def test_verdict_never_heard_of_a_callee_that_never_beat_is_a_fault() -> None:
    table = Table()
    table.chat(range(-30, 60))
    table.write(delegate(0, "dispatched", source_id=CALLER))
    table.write(judged(15, silent=0, rule="never_heard"))
    assert "never beat" in table.faults()[0]


def test_verdict_without_a_row_in_the_view_is_a_fault() -> None:
    table = Table()
    table.chat(range(-30, 60))
    table.write(judged(15))
    assert "no row at this place" in table.faults()[0]
