"""The model of sweeps: what a quiet pass must write, and what the judge finds in a log in which writers raced.

The judge knows each fault of a sweeper that a test here commits on purpose.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from rows import CALLEE, CALLER, TEN, answer, delegate, heartbeat, record_at, updated, verdict

from testbed.oracle import Judgement, Overdue, Rules, Truth, TruthRow, faults, fold_in_order, judge, overdue
from testbed.oracle.truth import body_of, is_visible
from testbed.recording import AcknowledgedRecord

RULES = Rules()
SAW_ALL = "1000:1000:"
SAW_NOTHING = "1:1:"


def at(minute: float) -> datetime:
    return TEN + timedelta(minutes=minute)


class Table:
    """Activity rows in the order in which they are written, and the log that a feed makes of them."""

    def __init__(self) -> None:
        self.rows: list[TruthRow] = []
        self.log: list[AcknowledgedRecord] = []

    def write(self, row: dict[str, Any], *, snapshot: str = SAW_ALL, in_log: bool = True) -> str:
        """Append a row to the table and, unless it races, to the log; returns its id."""
        number = len(self.rows) + 1
        columns: dict[str, Any] = {"source_id": CALLER, "target_id": CALLEE, "status": None, "error_detail": None}
        columns |= {"workspace_id": CALLER, "method": None, "request_body": {}, "response_body": {}}
        columns |= row | {"id": str(UUID(int=number)), "created_at": datetime.fromisoformat(row["created_at"])}
        known = {name: columns[name] for name in TruthRow._fields if name in columns}
        self.rows.append(TruthRow(**known, xid=number, snapshot=snapshot))
        if in_log:
            self.carry(row | {"id": columns["id"]})
        return str(columns["id"])

    def carry(self, row: dict[str, Any]) -> None:
        """Append a record of this row to the log."""
        self.log.append(record_at(len(self.log), row))

    def chat(self, minutes: Iterable[float], workspace: str = "c9c9c9c9-0000-4000-8000-000000000009") -> None:
        """Rows of a workspace about something else."""
        for minute in minutes:
            row = {"activity_type": "agent_log", "workspace_id": workspace, "created_at": at(minute).isoformat()}
            self.write(row | {"source_id": workspace, "target_id": None})

    def truth(self) -> Truth:
        return Truth(self.rows)

    def overdue(self, minute: float, rules: Rules = RULES) -> dict[str, Overdue]:
        return overdue(fold_in_order(self.log).rows, self.truth(), at(minute), rules)

    def judge(self) -> list[Judgement]:
        return judge(self.log, self.truth(), RULES)

    def faults(self) -> list[str]:
        return faults(self.judge())


def judged(minute: int, *, silent: int = 1, rule: str = "silence", **columns: Any) -> dict[str, Any]:
    """A verdict as the sweeper writes it; of the rule `deadline`, `silent` is the minute of the deadline."""
    if rule == "deadline":
        row = verdict(minute, "failed", silent=None)
        row["request_body"] |= {"deadline": at(silent).isoformat()}
    else:
        row = verdict(minute, "stuck", silent=silent)
    row["request_body"] |= {"rule": rule}
    return row | {"workspace_id": CALLER, "source_id": CALLER, "target_id": CALLEE} | columns


@pytest.fixture
def table() -> Table:
    """A platform that speaks all the time, and a delegation whose callee beat for the last time at 10:01."""
    table = Table()
    table.chat(range(-30, 60))
    table.write(delegate(0, "dispatched", source_id=CALLER))
    table.write(heartbeat(1) | {"workspace_id": CALLER})
    return table


# --- a quiet pass


def test_silent_delegation_is_overdue_after_the_threshold(table: Table) -> None:
    assert table.overdue(11) == {}
    assert table.overdue(11.1) == {"d-1": Overdue("silence", "stuck", at(1))}


def test_report_in_the_truth_alone_spares_it(table: Table) -> None:
    table.write(heartbeat(9) | {"workspace_id": CALLER}, in_log=False)
    assert table.overdue(15) == {}


@pytest.mark.parametrize("status", ["completed", "failed", "error", "timeout"])
def test_end_in_the_truth_alone_spares_it(table: Table, status: str) -> None:
    table.write(answer(0, status), in_log=False)
    assert table.overdue(400) == {}


def test_callee_that_works_on_something_else_is_not_silent(table: Table) -> None:
    table.chat([9], CALLEE)
    assert table.overdue(15) == {}


@pytest.mark.parametrize(
    "columns",
    [{"activity_type": "a2a_receive"}, {"method": "verdict"}, {"activity_type": "delegation", "method": "heartbeat"}],
)
def test_row_that_the_callee_did_not_write_keeps_nobody_alive(table: Table, columns: dict[str, str]) -> None:
    row = {"activity_type": "agent_log", "workspace_id": CALLEE, "created_at": at(9).isoformat()}
    table.write(row | columns, in_log=False)
    assert table.overdue(15).keys() == {"d-1"}


def test_result_that_the_callee_wrote_about_something_else_keeps_it_alive(table: Table) -> None:
    table.write(answer(9, "completed", of="d-9") | {"workspace_id": CALLEE}, in_log=False)
    assert table.overdue(15) == {}


def test_body_that_is_a_json_text_is_read() -> None:
    assert body_of('{"delegation_id": "d-1"}') == {"delegation_id": "d-1"}
    assert body_of('"d-1"') == body_of("{") == body_of(None) == {}


def test_row_of_the_future_keeps_nobody_alive(table: Table) -> None:
    table.chat([30], CALLEE)
    assert table.overdue(15).keys() == {"d-1"}


def test_missed_deadline_is_overdue_after_its_grace(table: Table) -> None:
    assert table.overdue(360.4) == {}
    assert table.overdue(360.6) == {"d-1": Overdue("deadline", "failed", at(360))}


def test_delegation_never_heard_needs_a_callee_that_speaks() -> None:
    table = Table()
    table.chat(range(-30, 60))
    table.write(delegate(0, "dispatched", source_id=CALLER))
    assert table.overdue(15) == {}
    assert table.overdue(15, RULES._replace(never_heard="count")) == {"d-1": Overdue("never_heard", "stuck", at(0))}
    table.write(delegate(0, request_body={"delegation_id": "d-2"}))
    table.write(heartbeat(14, of="d-2"))
    assert table.overdue(15) == {"d-1": Overdue("never_heard", "stuck", at(0))}
    assert table.overdue(15, RULES._replace(never_heard="skip")) == {}


def test_silence_of_the_platform_is_nobodys_silence() -> None:
    table = Table()
    table.write(delegate(0, "dispatched", source_id=CALLER))
    table.write(heartbeat(1))
    assert table.overdue(15) == {}, "nobody spoke within the threshold"
    table.chat(range(15, 40))
    assert table.overdue(16) == {}, "the platform is back"
    assert table.overdue(24.9) == {}
    assert table.overdue(25.1).keys() == {"d-1"}


def test_silence_of_the_platform_that_lasts_is_nobodys_silence() -> None:
    table = Table()
    table.write(delegate(0, "dispatched", source_id=CALLER))
    table.write(heartbeat(1))
    table.chat(range(-30, 10))
    assert table.overdue(14).keys() == {"d-1"}
    assert table.overdue(14.1) == {}


def test_short_silence_of_the_platform_delays_no_verdict() -> None:
    table = Table()
    table.write(delegate(0, "dispatched", source_id=CALLER))
    table.write(heartbeat(1))
    table.chat([*range(-30, 5), 9, 13])
    assert table.overdue(13).keys() == {"d-1"}


def test_delegation_without_a_row_in_the_truth_is_unknown() -> None:
    table = Table()
    table.chat(range(-30, 60))
    table.carry(delegate(0, "dispatched"))
    table.carry(heartbeat(1))
    assert table.overdue(15) == {}


# --- the judge of a log


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


def test_snapshot_shows_what_was_committed_before_it() -> None:
    assert is_visible(4, "5:9:6")
    assert is_visible(7, "5:9:6,8")
    assert not is_visible(6, "5:9:6,8")
    assert not is_visible(9, "5:9:")
    assert is_visible(8, "5:9:")
