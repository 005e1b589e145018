"""Passes over many delegations on a real Postgres: outages of the platform, the brake, limits and pages, dry runs."""

import pytest
from rows import CALLER
from sweeping import OTHER, Platform, counts

from projector.postgres import sweep_candidates
from projector.sweep.report import Skipped

# --- S5: outages of the platform


def test_platform_without_any_sign_holds_stuck_verdicts(it: Platform) -> None:
    it.both(it.request(), it.beat(), it.request("d-2", due=1))
    it.write(it.sign(11), it.sign(2, activity_type="a2a_receive"), it.sign(1, method="verdict"), it.sign(-1))
    report = it.sweep()
    assert counts(report) == {"candidates": 2, "failed": 1, "held": 1}
    assert report.skipped is Skipped.NO_ACTIVITY
    assert it.told() == {"d-2": "failed"}


def test_silence_counts_from_the_end_of_a_gap(it: Platform) -> None:
    """The platform was silent for twice the threshold, and speaks again since three minutes."""
    it.both(it.request(), it.beat(minutes=24))
    it.write(*(it.sign(minutes) for minutes in (0.5, 1, 2, 3, 23, 24, 25)))
    assert counts(it.sweep()) == {"candidates": 1, "spared": 1}


def test_gap_of_half_a_threshold_is_none(it: Platform) -> None:
    it.both(it.request(), it.beat())
    it.write(*(it.sign(minutes) for minutes in (0.5, 5, 9.9, 14.8, 19.7)))
    assert counts(it.sweep()) == {"candidates": 1, "stuck": 1}
    it.conn.execute("DELETE FROM activity_logs WHERE method = 'verdict' OR created_at = %s::timestamptz", [it.at(5)])
    assert counts(it.sweep()) == {"candidates": 1, "spared": 1}


def test_gap_that_lasts_spares(it: Platform) -> None:
    it.both(it.request(), it.beat())
    it.write(*(it.sign(minutes) for minutes in (6, 8, 10, 12, 14, 16, 18)))
    assert counts(it.sweep()) == {"candidates": 1, "spared": 1}


def test_silence_after_a_gap_is_found_one_threshold_later(it: Platform) -> None:
    it.both(it.request(), it.beat(minutes=25))
    it.write(*(it.sign(minutes) for minutes in range(12)), it.sign(25))
    assert counts(it.sweep()) == {"candidates": 1, "stuck": 1}


# --- S7: the brake, and the limit of deadlines


def silent_fleet(it: Platform, silent: int, alive: int) -> None:
    for n in range(silent + alive):
        it.both(it.request(f"d-{n:03}"), it.beat(f"d-{n:03}", 20 if n < silent else 1))


def test_mass_of_silent_delegations_is_held(it: Platform) -> None:
    silent_fleet(it.is_alive(), 30, 20)
    report = it.sweep()
    assert counts(report) == {"candidates": 30, "held": 30}
    assert report.skipped is Skipped.BRAKED
    assert "30 delegations would be stuck, more than 25 of the 50 in flight" in report.sentences[0]
    assert counts(it.sweep(anyway=True)) == {"candidates": 30, "stuck": 30}


def test_brake_lets_half_of_the_fleet_pass_and_not_one_more(it: Platform) -> None:
    silent_fleet(it.is_alive(), 26, 25)
    assert counts(it.sweep()) == {"candidates": 26, "held": 26}
    it.write(it.beat("d-000", 1))
    assert counts(it.sweep()) == {"candidates": 26, "stuck": 25, "spared": 1}


def test_verdicts_that_are_there_do_not_brake(it: Platform) -> None:
    silent_fleet(it.is_alive(), 30, 20)
    assert counts(it.sweep(anyway=True)) == {"candidates": 30, "stuck": 30}
    assert counts(it.sweep()) == {"candidates": 30, "repeated": 30}


def test_deadlines_are_limited_and_the_oldest_come_first(it: Platform) -> None:
    for n in range(7):
        it.both(it.request(f"d-{n}", due=n + 1))
    it.write(it.answer("d-6"))
    report = it.sweep(sweep_max_failed=3)
    assert sorted(it.told()) == ["d-3", "d-4", "d-5"]
    assert report.is_capped
    it.sweep(sweep_max_failed=3)
    assert sorted(it.told()) == [f"d-{n}" for n in range(6)]


# --- S8


@pytest.mark.parametrize(("never_heard", "mute"), [("known", 1_200), ("count", 3_000)])
def test_silent_one_behind_thousands_that_were_never_heard_is_marked_in_the_first_pass(
    it: Platform, never_heard: str, mute: int
) -> None:
    """Their callee works, so each of them is asked for and spared."""
    it.is_alive().both(it.request("speaks", target_id=OTHER), it.beat("speaks", 1))
    it.both(it.request("silent"), it.beat("silent"))
    it.conn.execute(
        """
        INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, created_at, updated_at)
        SELECT 'mute-' || n, %(caller)s, %(callee)s, 'sum', %(at)s, %(at)s FROM generate_series(1, %(mute)s) n
        """,
        {"caller": CALLER, "callee": OTHER, "at": it.at(30), "mute": mute},
    )
    it.conn.execute(
        """
        INSERT INTO activity_logs (id, workspace_id, activity_type, method, target_id, request_body, created_at)
        SELECT gen_random_uuid(), caller_id, 'delegation', 'delegate', callee_id,
               jsonb_build_object('delegation_id', delegation_id), created_at
          FROM delegations WHERE delegation_id LIKE 'mute-%'
        """
    )
    assert counts(it.sweep(never_heard=never_heard)) == {"candidates": mute + 1, "stuck": 1, "spared": mute}
    assert it.told() == {"silent": "stuck"}


def test_many_never_heard_do_not_hide_a_silent_one(it: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_candidates, "PAGE", 10)
    it.is_alive()
    for n in range(35):
        it.project(it.request(f"mute-{n:02}", target_id=OTHER))
    silent_fleet(it, 15, 20)
    assert counts(it.sweep(never_heard="count")) == {"candidates": 50, "stuck": 15, "unknown": 35}


def test_spared_rows_do_not_stop_the_pages(it: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_candidates, "PAGE", 4)
    silent_fleet(it.is_alive(), 12, 0)
    for n in range(10):
        it.write(it.beat(f"d-{n:03}", 1))
    assert counts(it.sweep()) == {"candidates": 12, "stuck": 2, "spared": 10}
    assert sorted(it.told()) == ["d-010", "d-011"]


# --- a dry run


def test_dry_run_names_exactly_what_the_next_pass_writes(it: Platform) -> None:
    silent_fleet(it.is_alive(), 5, 5)
    it.both(it.request("late", due=1), it.request("held"))
    report = it.sweep(writes=False)
    assert it.verdicts() == []
    planned = {(each.row.delegation_id, str(each.status), str(each.id)) for each in report.unwritten}
    it.sweep()
    assert planned == {(row["request_body"]["delegation_id"], row["status"], row["id"]) for row in it.verdicts()}
    assert len(planned) == 7
