"""The model of sweeps: what a quiet pass must write."""

import pytest
from oracle_table import RULES, Table, at
from rows import CALLEE, CALLER, answer, delegate, heartbeat

from testbed.oracle import Overdue
from testbed.oracle.truth import body_of, is_visible


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


def test_snapshot_shows_what_was_committed_before_it() -> None:
    assert is_visible(4, "5:9:6")
    assert is_visible(7, "5:9:6,8")
    assert not is_visible(6, "5:9:6,8")
    assert not is_visible(9, "5:9:")
    assert is_visible(8, "5:9:")
