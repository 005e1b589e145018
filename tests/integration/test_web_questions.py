"""The numbers behind the questions of docs/dashboard.md, each counted by hand from rows that are inserted here."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

import psycopg
import pytest
from cluster import wait_until
from dashboards import Site, ago, dashboard, insert

A, B, C, X = (str(UUID(int=number)) for number in range(1, 5))
HOUR = 3_600
DAY = 24 * HOUR


def _row(
    name: str, caller: str, callee: str, status: str, created: float, updated: float, **more: Any
) -> dict[str, Any]:
    return {
        "delegation_id": name,
        "caller_id": caller,
        "callee_id": callee,
        "status": status,
        "created_at": ago(created),
        "updated_at": ago(updated),
        "task_preview": f"task of {name}",
        "deadline": ago(created - 2 * HOUR),
    } | more


def _rows() -> list[dict[str, Any]]:
    """Their times count from now: modules are imported long before their tests run."""
    return [
        # X completes four of five, and one after its deadline; before this day it failed at everything
        *(
            _row(f"done-{n}", A, X, "completed", 5 * HOUR + 100 * n, 5 * HOUR + 100 * n - 60 * (n + 1))
            for n in range(3)
        ),
        _row("late", A, X, "completed", 10 * HOUR, 7 * HOUR),
        _row("lost", A, X, "failed", 4 * HOUR, 0.5 * HOUR, error_detail="no money: 5 of 7"),
        _row("lost-2", B, X, "failed", 4 * HOUR - 50, 0.4 * HOUR, error_detail="no money: 15 of 70"),
        *(_row(f"before-{n}", A, X, "failed", 30 * HOUR + 50 * n, 29 * HOUR, error_detail="x") for n in range(2)),
        _row("older", A, X, "failed", 60 * HOUR, 59 * HOUR, error_detail="x"),
        # C is wedged: work since two hours, nothing completed
        _row("wedged-1", A, C, "in_progress", 2 * HOUR + 9, 1.5 * HOUR, last_heartbeat=ago(1.5 * HOUR)),
        _row("wedged-2", B, C, "queued", 1.5 * HOUR, 1.5 * HOUR, deadline=ago(HOUR)),
        # B asks itself
        _row("itself", B, B, "dispatched", 60, 30),
        # a burst of B to A, and twice the same task
        *(_row(f"burst-{n}", B, A, "queued", 100 - n, 20, task_preview="same") for n in range(3)),
        _row("stuck", B, A, "stuck", 3 * HOUR, 0.2 * HOUR, error_detail="silent for 600 s"),
    ]


@pytest.fixture(scope="module")
def site(shared_database_url: str) -> Iterator[Site]:
    insert(shared_database_url, *_rows())
    with dashboard(shared_database_url) as site:
        yield site


def _of(site: Site, workspace: str, query: str = "") -> dict[str, Any]:
    [found] = [each for each in site.json(f"/callees.json?{query}")["workspaces"] if each["workspace_id"] == workspace]
    return dict(found)


def _ids(site: Site, query: str) -> list[str]:
    return [each["delegation_id"] for each in site.json(f"/delegations.json?{query}")["delegations"]]


def test_what_is_in_flight_and_which_is_oldest(site: Site) -> None:
    found = site.json("/overview.json")["in_flight"]
    assert (found["queued"], found["dispatched"], found["in_progress"]) == (4, 1, 1)
    assert _ids(site, "sort=age")[:2] == ["wedged-1", "wedged-2"]
    assert found["oldest_at"] == site.json("/delegations.json?sort=age")["delegations"][0]["created_at"]


def test_which_are_silent_and_did_they_ever_beat(site: Site) -> None:
    rows = site.json("/delegations.json?only=silent&sort=silence")["delegations"]
    assert {row["delegation_id"]: row["last_heartbeat"] is not None for row in rows} == {
        "wedged-1": True,
        "wedged-2": False,
    }
    assert site.json("/overview.json")["in_flight"]["silent"] == 2


def test_what_is_overdue_and_what_is_next(site: Site) -> None:
    assert _ids(site, "only=overdue&sort=deadline") == ["wedged-2", "wedged-1"]
    assert _ids(site, "sort=deadline")[:2] == ["wedged-2", "wedged-1"]
    assert site.json("/overview.json")["in_flight"]["overdue"] == 2


def test_which_callee_is_wedged(site: Site) -> None:
    [found] = site.json("/overview.json")["wedged"]
    assert (found["callee_id"], found["in_flight"]) == (C, 2)


def test_share_of_failures_against_before(site: Site) -> None:
    found = _of(site, X)
    assert (found["completed"], found["failed"], found["stuck"]) == (4, 2, 0)
    assert (found["ended_before"], found["failed_before"]) == (2, 2)
    of_caller = _of(site, A, "role=caller")
    assert (of_caller["completed"], of_caller["failed"], of_caller["ended_before"]) == (4, 1, 2)


def test_failures_by_reason(site: Site) -> None:
    found = site.json("/failures.json?hours=24")
    reasons = {each["reason"]: (each["status"], each["failures"]) for each in found["reasons"]}
    assert reasons == {"no money: <n> of <n>": ("failed", 2), "silent for <n> s": ("stuck", 1)}
    assert found["reasons"][0]["samples"] == ["lost-2", "lost"]
    assert found["reasons"][0]["callees"] == {X: 2}
    assert site.json(f"/failures.json?caller={B}")["looked_at"] == 2
    assert site.json(f"/failures.json?callee={X}&caller={B}")["looked_at"] == 1
    overview = site.json("/overview.json")["failures"]
    assert (overview["last_hour_failed"], overview["last_hour_stuck"]) == (2, 1)


def test_who_owes_whom(site: Site) -> None:
    pairs = {(each["caller_id"], each["callee_id"]): each for each in site.json("/callees.json")["pairs"]}
    assert {pair: (each["in_flight"], each["overdue"]) for pair, each in pairs.items()} == {
        (B, A): (3, 0),
        (A, C): (1, 1),
        (B, C): (1, 1),
        (B, B): (1, 0),
    }
    for query, number in ((f"caller={B}", 5), (f"callee={C}", 2), (f"caller={B}&callee={C}", 1)):
        assert site.json(f"/delegations.json?{query}")["total"] == {"value": number, "relation": "eq"}


def test_how_long_they_take_and_whether_the_deadline_is_sane(site: Site) -> None:
    found = _of(site, X)
    assert found["p50_seconds"] == pytest.approx(150, abs=1)  # 60, 120, 180 s and three hours
    assert found["p95_seconds"] == pytest.approx(180 + 0.85 * (3 * HOUR - 180), abs=2)
    assert found["deadline_p50_seconds"] == pytest.approx(2 * HOUR, abs=1)
    assert found["late"] == 1


def test_bursts_repeated_tasks_and_self_delegation(site: Site) -> None:
    found = _of(site, A)
    assert (found["bursts"], found["repeated"], found["to_itself"]) == (2, 2, 0)
    assert _of(site, B)["to_itself"] == 1
    assert _ids(site, "only=self&status=any") == ["itself"]
    assert _of(site, C)["bursts"] == 0


def test_one_window_does_not_count_the_other(site: Site) -> None:
    assert _of(site, X, "hours=48")["failed"] == 4
    assert _of(site, X, "hours=48")["ended_before"] == 1


def test_page_of_failures_says_when_it_has_not_seen_all(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute(
            """
            INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, updated_at)
            SELECT 'd-' || n, gen_random_uuid(), gen_random_uuid(), '', 'failed', now() - make_interval(secs => n)
              FROM generate_series(1, 2001) AS n
            """
        )
    with dashboard(database_url) as site:
        found = site.json("/failures.json?hours=24")
        assert (found["looked_at"], found["most"]) == (2_000, 2_000)
        assert "The latest 2,000 within 24 h" in site.page("/failures?hours=24")
        with psycopg.connect(database_url) as conn:
            conn.execute("DELETE FROM delegations WHERE delegation_id IN ('d-1', 'd-2')")
        assert "All 1,999 within 24 h" in site.page("/failures?hours=24")


def test_last_day_is_counted_by_hour(site: Site) -> None:
    hours = wait_until(lambda: site.reader.last_day.snapshot.value, "the last day")
    assert len(hours) == 24
    assert {(after.starts_at - before.starts_at).total_seconds() for before, after in pairwise(hours)} == {HOUR}
    rows = [
        (datetime.fromisoformat(row["created_at"]), row["status"])
        for row in site.json("/delegations.json?status=any&limit=1000")["delegations"]
    ]
    for hour in hours:
        made = [status for at, status in rows if 0 <= (at - hour.starts_at).total_seconds() < HOUR]
        assert (hour.created, hour.failed) == (len(made), made.count("failed") + made.count("stuck"))
    assert sum(hour.created for hour in hours) == 13
