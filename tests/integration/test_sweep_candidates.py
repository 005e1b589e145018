"""Which delegations of the view a pass of the sweeper looks at, and which callees send heartbeats."""

import pytest
from sweeping import Platform, counts


def test_callee_whose_only_heartbeat_is_of_the_future_does_not_speak(it: Platform) -> None:
    it.is_alive().both(it.request(), it.request("d-2"))
    it.project(it.beat("d-2", minutes=-5))
    assert it.sweep().candidates == 0


def test_ended_delegation_is_no_candidate(it: Platform) -> None:
    """The view alone decides that: the table may have no row of the end."""
    it.is_alive().both(it.request(), it.request("beat"), it.beat("beat"), it.request("due", due=1))
    it.project(*(it.answer(each, minutes=15) for each in ("d-1", "beat", "due")))
    assert counts(it.sweep(never_heard="count")) == {}


def test_delegation_with_a_report_after_its_heartbeats_is_no_candidate(it: Platform) -> None:
    it.is_alive().both(it.request(), it.beat(), it.answer(status="in_progress", minutes=2))
    assert counts(it.sweep()) == {}


@pytest.mark.parametrize(("days", "speaks"), [(6.9, True), (7.1, False)])
def test_callee_without_a_heartbeat_within_seven_days_does_not_speak(it: Platform, days: float, speaks: bool) -> None:
    at = days * 24 * 60
    it.is_alive().both(it.request(), it.request("ended", at), it.beat("ended", at), it.answer("ended", minutes=at))
    assert counts(it.sweep()) == ({"candidates": 1, "stuck": 1} if speaks else {})
