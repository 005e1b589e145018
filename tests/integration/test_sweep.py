"""A pass of the sweeper on a real Postgres: who is a candidate, what the table says, and what is written."""

from typing import Any

import pytest
from rows import CALLEE, CALLER
from sweeping import ADVANCED, OTHER, REFUSED, STALE, Platform, counts

from projector.domain.overdue import Rule
from projector.postgres import sweep_candidates

# --- the three rules


def test_silent_delegation_is_stuck_with_the_time_of_its_last_event(it: Platform) -> None:
    it.is_alive().both(it.request(), it.beat(minutes=20), it.request("d-2"), it.beat("d-2", 9))
    assert counts(it.sweep()) == {"candidates": 1, "stuck": 1}
    [row] = it.verdicts()
    assert (row["workspace_id"], row["source_id"], row["target_id"]) == (CALLER, None, CALLEE)
    assert (row["status"], row["activity_type"]) == ("stuck", "delegation")
    assert row["request_body"]["silent_since"] == it.at(20)
    assert it.feed_verdicts() == {ADVANCED: 1}
    assert it.statuses() == {"d-1": "stuck", "d-2": "queued"}
    assert counts(it.sweep()) == {}


def test_passed_deadline_fails_and_silence_does_not_count_then(it: Platform) -> None:
    it.is_alive().both(it.request(due=1), it.beat(), it.request("d-2", due=0.3), it.beat("d-2"))
    assert counts(it.sweep()) == {"candidates": 1, "failed": 1}
    assert it.told() == {"d-1": "failed"}
    assert it.verdicts()[0]["request_body"]["deadline"] == it.at(1)
    assert it.feed_verdicts() == {ADVANCED: 1}


def test_infinite_deadline_is_no_deadline(it: Platform) -> None:
    it.is_alive().both(it.request(), it.beat(), it.request("d-2"), it.beat("d-2"))
    it.conn.execute("UPDATE delegations SET deadline = 'infinity' WHERE delegation_id = 'd-1'")
    it.conn.execute("UPDATE delegations SET deadline = '-infinity' WHERE delegation_id = 'd-2'")
    assert counts(it.sweep()) == {"candidates": 2, "stuck": 2}


@pytest.mark.parametrize(("setting", "stuck"), [("known", ["speaks"]), ("count", ["mute", "speaks"]), ("skip", [])])
def test_never_heard_counts_by_the_setting(it: Platform, setting: str, stuck: list[str]) -> None:
    mute: Any = {"target_id": OTHER}
    it.is_alive().both(it.request("speaks"), it.request("mute", **mute))
    it.both(it.request("ended", 2000), it.beat("ended", 1990), it.answer("ended", minutes=1980))
    it.write(*(it.sign(minutes, CALLER) for minutes in range(0, 40, 2)))
    it.conn.execute("DELETE FROM activity_logs WHERE workspace_id = %s", [OTHER])
    report = it.sweep(never_heard=setting)
    assert sorted(it.told()) == stuck
    assert {row["request_body"]["rule"] for row in it.verdicts()} <= {Rule.NEVER_HEARD}
    assert report.candidates == len(stuck)


def test_heartbeats_are_searched_in_the_newest_delegations(it: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_candidates, "_NEWEST", 3)
    it.is_alive().both(it.request(), it.request("old", 60), it.beat("old", 59), it.answer("old", minutes=58))
    it.project(it.request("d-2", 50), it.answer("d-2"))
    assert counts(it.sweep(writes=False)) == {"candidates": 1}
    it.project(it.request("d-3", 50), it.answer("d-3"))
    assert counts(it.sweep()) == {}


def test_row_dated_in_the_future_is_listed_and_ended_by_its_deadline_only(it: Platform) -> None:
    it.is_alive().both(it.request(), it.beat(minutes=-30))
    report = it.sweep()
    assert counts(report) == {"future": 1}
    assert [row.delegation_id for row in report.future_rows] == ["d-1"]
    it.conn.execute("UPDATE delegations SET deadline = now() - interval '1 min'")
    assert counts(it.sweep()) == {"candidates": 1, "failed": 1, "future": 1}


# --- S1: the table decides


@pytest.mark.parametrize(
    "sign",
    [
        lambda it: it.beat(minutes=2),
        lambda it: it.answer(status="in_progress", minutes=2),
        lambda it: it.answer(status="completed", minutes=25),
        lambda it: it.answer(status="timeout", minutes=-5),
        lambda it: it.answer(response_body=None, request_body={"delegation_id": "d-1"}, status="error"),
        lambda it: it.sign(2, CALLEE),
        lambda it: it.request("child", 2, workspace_id=CALLEE, target_id=OTHER),
    ],
    ids=["beat", "report", "answer", "answer of later", "answer without body", "callee chats", "callee delegates"],
)
def test_what_only_the_table_knows_spares(it: Platform, sign: Any) -> None:
    it.is_alive().both(it.request(), it.beat())
    it.write(sign(it))
    assert counts(it.sweep()) == {"candidates": 1, "spared": 1}
    assert it.verdicts() == []


@pytest.mark.parametrize(
    "row",
    [
        lambda it: it.beat("other", 2),
        lambda it: it.beat(minutes=-5),
        lambda it: it.sign(2, CALLEE, activity_type="a2a_receive", method="delegate_result"),
        lambda it: it.sign(2, CALLEE, method="verdict"),
        lambda it: it.sign(-5, CALLEE),
        lambda it: it.sign(2, CALLER),
        lambda it: it.beat("child", 2, workspace_id=CALLEE),
        lambda it: it.answer("other", minutes=2),
        lambda it: it.sign(25, CALLEE),
    ],
    ids=[
        *("other beat", "future beat", "inbox copy", "verdict", "future sign", "caller chats", "beat of a child"),
        *("other answer", "older sign"),
    ],
)
def test_what_is_no_sign_of_life_of_it_spares_nobody(it: Platform, row: Any) -> None:
    it.is_alive().both(it.request(), it.beat())
    it.write(row(it))
    assert counts(it.sweep()) == {"candidates": 1, "stuck": 1}


def test_report_in_the_workspace_of_another_candidate_spares_nobody(it: Platform) -> None:
    other: Any = {"workspace_id": OTHER}
    it.is_alive().both(it.request(), it.beat(), it.request("d-2", **other), it.beat("d-2", **other))
    it.write(it.answer("d-1", **other))
    assert counts(it.sweep()) == {"candidates": 2, "stuck": 2}


def test_caller_that_is_its_own_callee_lives_by_its_delegation_only(it: Platform) -> None:
    own: Any = {"target_id": CALLER}
    it.is_alive().both(it.request(**own), it.beat(), it.request("d-2", **own), it.beat("d-2"))
    it.write(it.sign(2, CALLER), it.beat("d-2", 2))
    assert counts(it.sweep()) == {"candidates": 2, "stuck": 1, "spared": 1}
    assert it.told() == {"d-1": "stuck"}


def test_own_callee_is_judged_apart_from_what_others_asked_of_it(it: Platform) -> None:
    others: Any = {"workspace_id": OTHER, "source_id": OTHER, "target_id": CALLER}
    it.is_alive().both(it.request(target_id=CALLER), it.beat(), it.request("d-2", **others), it.beat("d-2"))
    it.write(it.sign(2, CALLER))
    assert counts(it.sweep()) == {"candidates": 2, "stuck": 1, "spared": 1}
    assert it.told() == {"d-1": "stuck"}


def test_sign_of_life_after_the_deadline_does_not_spare(it: Platform) -> None:
    it.is_alive().both(it.request(due=20))
    it.write(it.beat(minutes=2))
    assert counts(it.sweep()) == {"candidates": 1, "failed": 1}


def test_status_changed_in_place_spares_if_it_is_terminal(it: Platform) -> None:
    it.is_alive().both(it.request(), it.beat(), it.request("d-2", due=1))
    it.conn.execute("UPDATE activity_logs SET status = 'completed' WHERE method = 'delegate'")
    assert counts(it.sweep()) == {"candidates": 2, "spared": 2}


def test_request_is_found_whatever_its_time_in_the_view_is(it: Platform) -> None:
    """The clock of a publisher can be wrong."""
    row = it.request(minutes=50)
    it.is_alive().both(it.beat(minutes=20)).project(row)
    it.write(row | {"created_at": it.at(30)})
    assert counts(it.sweep()) == {"candidates": 1, "stuck": 1}


def test_delegation_without_a_request_in_the_table_is_unknown(it: Platform) -> None:
    it.is_alive().project(it.request(), it.beat(), it.request("d-2", due=1))
    assert counts(it.sweep()) == {"candidates": 2, "unknown": 2}


def test_request_of_another_workspace_gives_the_verdict_its_columns(it: Platform) -> None:
    row = it.request(workspace_id=OTHER, source_id=CALLER)
    it.is_alive().both(row, it.beat(workspace_id=OTHER))
    it.write(it.request("d-1", 600, workspace_id=OTHER))
    assert counts(it.sweep()) == {"candidates": 1, "stuck": 1}
    [found] = it.verdicts()
    assert (found["workspace_id"], found["source_id"], found["target_id"]) == (OTHER, CALLER, CALLEE)
    assert it.feed_verdicts() == {ADVANCED: 1}


def test_sign_between_check_and_write_spares(it: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    it.is_alive().both(it.request(), it.beat(), it.request("d-2"), it.beat("d-2"))
    begun = it.begin_pass()
    write = begun._sink.write

    def late(verdicts: Any) -> Any:
        it.write(it.answer(minutes=-1))
        return write(verdicts)

    monkeypatch.setattr(begun._sink, "write", late)
    assert counts(begun.run()) == {"candidates": 2, "stuck": 1, "spared": 1}
    assert it.told() == {"d-2": "stuck"}


def test_verdict_of_another_sweeper_before_the_write_stays(it: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    it.is_alive().both(it.request(), it.beat())
    begun = it.begin_pass()
    write, of_the_other = begun._sink.write, []

    def late(verdicts: Any) -> Any:
        it.sweep()
        of_the_other.extend(it.verdicts())
        return write(verdicts)

    monkeypatch.setattr(begun._sink, "write", late)
    assert counts(begun.run()) == {"candidates": 1, "repeated": 1}
    assert it.verdicts() == of_the_other != []


# --- S2, S3


def test_verdict_is_written_once_per_evidence(it: Platform) -> None:
    it.is_alive().both(it.request(), it.beat(minutes=20), it.request("d-2", due=1))
    it.sweep()
    report = it.sweep()
    assert counts(report) == {"candidates": 2, "repeated": 2}
    assert report.repeated_since is not None
    assert len(it.verdicts()) == 2
    it.both(it.beat(minutes=15))
    assert counts(it.sweep()) == {"candidates": 2, "stuck": 1, "repeated": 1}


def test_verdict_after_a_later_beat_in_the_log_is_stale(it: Platform) -> None:
    it.is_alive().both(it.request(), it.beat())
    it.sweep()
    it.project(it.beat(minutes=1))
    assert it.feed_verdicts() == {STALE: 1}
    it.both(it.answer(minutes=0))
    assert it.feed_verdicts() == {REFUSED: 1}
    assert it.statuses() == {"d-1": "completed"}
