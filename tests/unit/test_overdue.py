"""The judgement of one row: stuck, failed, or left alone, each with its reason and its numbers."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from builders import fold_batches, log, split
from hypothesis import given
from hypothesis import strategies as st
from rows import CALLEE, CALLER, answer, delegate, heartbeat, verdict

from projector.contract.facts import IN_FLIGHT, Status
from projector.domain.outcomes import Outcome
from projector.domain.overdue import (
    Failed,
    InFlight,
    Judgement,
    Leave,
    Reason,
    Rule,
    Stuck,
    Thresholds,
    as_text,
    brake_limit,
    judge,
)
from projector.domain.overdue import verdict as verdict_of

NOW = datetime(2025, 5, 5, 12, tzinfo=UTC)
RULES = Thresholds(timedelta(minutes=10), timedelta(seconds=30), "known")


def before(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def row(*, heard: float | None = 20, updated: float = 20, due: float | None = -60) -> InFlight:
    """A row by minutes before now."""
    heartbeat_at = None if heard is None else before(heard)
    deadline = None if due is None else before(due)
    return InFlight("d-1", CALLER, CALLEE, heartbeat_at, deadline, before(30), before(updated))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (judge(row(), RULES, now=NOW), Stuck(Rule.SILENCE, before(20), timedelta(minutes=20))),
        (judge(row(due=None), RULES, now=NOW), Stuck(Rule.SILENCE, before(20), timedelta(minutes=20))),
        (judge(row(updated=10), RULES, now=NOW), Leave(Reason.ALIVE, timedelta(minutes=10))),
        (judge(row(due=1), RULES, now=NOW), Failed(before(1), timedelta(minutes=1))),
        (judge(row(due=0.5), RULES, now=NOW), Leave(Reason.WITHIN_GRACE, timedelta(seconds=30))),
        (judge(row(due=0), RULES, now=NOW), Stuck(Rule.SILENCE, before(20), timedelta(minutes=20))),
        (judge(row(updated=0), RULES, now=NOW), Leave(Reason.ALIVE, timedelta(0))),
        (judge(row(), RULES, now=NOW, gap_ended_at=before(10)), Leave(Reason.OUTAGE, timedelta(minutes=10))),
        (judge(row(updated=-1), RULES, now=NOW), Leave(Reason.FUTURE, timedelta(minutes=-1))),
        (judge(row(updated=-1, due=1), RULES, now=NOW), Failed(before(1), timedelta(minutes=1))),
        (judge(row(), RULES, now=NOW, gap_ended_at=before(3)), Leave(Reason.OUTAGE, timedelta(minutes=3))),
        (
            judge(row(), RULES, now=NOW, gap_ended_at=before(11)),
            Stuck(Rule.SILENCE, before(20), timedelta(minutes=20)),
        ),
        (judge(row(heard=None), RULES, now=NOW), Leave(Reason.CALLEE_UNKNOWN, timedelta(minutes=20))),
        (
            judge(row(heard=None), RULES, now=NOW, callee_speaks=True),
            Stuck(Rule.NEVER_HEARD, before(20), timedelta(minutes=20)),
        ),
        (
            judge(row(heard=None), RULES._replace(never_heard="count"), now=NOW),
            Stuck(Rule.NEVER_HEARD, before(20), timedelta(minutes=20)),
        ),
        (
            judge(row(heard=None), RULES._replace(never_heard="skip"), now=NOW, callee_speaks=True),
            Leave(Reason.NOT_ASKED, timedelta(minutes=20)),
        ),
    ],
)
def test_each_rule_decides_with_its_numbers(found: Judgement, expected: Judgement) -> None:
    assert found == expected


instants = st.integers(-3600, 3600).map(lambda seconds: NOW - timedelta(seconds=seconds))
rows = st.builds(
    InFlight,
    st.sampled_from(["d-1", "d-2"]),
    st.just(CALLER),
    st.just(CALLEE),
    st.none() | instants,
    st.none() | instants,
    instants,
    instants,
)
gaps = st.none() | instants


@given(rows, gaps, st.booleans(), st.sampled_from(["known", "count", "skip"]))
def test_judgement_follows_from_age_and_deadline(each: InFlight, gap: Any, speaks: bool, never: Any) -> None:
    found = judge(each, RULES._replace(never_heard=never), now=NOW, gap_ended_at=gap, callee_speaks=speaks)
    is_past = each.deadline is not None and each.deadline < NOW
    if isinstance(found, Failed):
        assert is_past
        assert found.overdue_for > RULES.grace
    if isinstance(found, Stuck):
        assert not is_past
        assert found.silent_since == each.updated_at
        assert NOW - max(filter(None, (each.updated_at, gap))) > RULES.stuck_after
        assert (found.rule is Rule.SILENCE) == (each.last_heartbeat is not None)
        assert found.rule is Rule.SILENCE or never == "count" or (never == "known" and speaks)


@given(rows, gaps, st.booleans(), st.integers(1, 3600))
def test_later_sign_of_life_never_makes_stuck(each: InFlight, gap: Any, speaks: bool, seconds: int) -> None:
    later = each._replace(updated_at=each.updated_at + timedelta(seconds=seconds))
    known = {"now": NOW, "gap_ended_at": gap, "callee_speaks": speaks}
    if isinstance(judge(later, RULES, **known), Stuck):
        assert isinstance(judge(each, RULES, **known), Stuck)


@pytest.mark.parametrize(
    ("in_flight", "limit"), [(0, 20), (40, 20), (41, 20), (42, 21), (100, 50)], ids=lambda value: str(value)
)
def test_brake_is_half_of_the_speaking_and_at_least_twenty(in_flight: int, limit: int) -> None:
    assert brake_limit(in_flight, minimum=20, percent=50) == limit


def test_brake_has_the_share_of_the_settings() -> None:
    assert [brake_limit(200, minimum=20, percent=percent) for percent in (0, 10, 75, 100)] == [20, 20, 150, 200]


# --- the verdict


def test_verdict_bears_evidence_with_six_decimals() -> None:
    silent = row(updated=20)._replace(updated_at=before(20).replace(microsecond=0))
    found = judge(silent, RULES, now=NOW)
    assert isinstance(found, Stuck)
    made = verdict_of(silent, found, RULES, judged_at=NOW)
    assert (made.status, made.rule, made.evidence) == (Status.STUCK, "silence", before(20))
    assert json.loads(made.body) == {
        "delegation_id": "d-1",
        "rule": "silence",
        "silent_since": "2025-05-05T11:40:00.000000+00:00",
        "threshold_seconds": 600,
        "judged_at": "2025-05-05T12:00:00.000000+00:00",
    }
    assert made.error_detail == (
        "no sign of life since 2025-05-05T11:40:00.000000+00:00, for 20 min 0 s (threshold 10 min 0 s)"
    )


def test_verdict_about_a_deadline_has_no_silence() -> None:
    late = row(due=2)
    found = judge(late, RULES, now=NOW)
    assert isinstance(found, Failed)
    made = verdict_of(late, found, RULES, judged_at=NOW)
    assert made.status is Status.FAILED
    body = json.loads(made.body)
    assert (body["rule"], body["deadline"], body["threshold_seconds"]) == ("deadline", as_text(before(2)), 30)
    assert "silent_since" not in body
    assert "passed 2 min 0 s ago without an answer (grace 30 s)" in made.error_detail


def test_id_depends_on_delegation_rule_and_evidence_only() -> None:
    def made(each: InFlight, now: datetime = NOW) -> Any:
        found = judge(each, RULES, now=now, callee_speaks=True)
        assert not isinstance(found, Leave)
        return verdict_of(each, found, RULES, judged_at=now).id

    first = made(row())
    assert made(row(due=-90), NOW + timedelta(minutes=5)) == first
    others = [row(updated=21), row(heard=None), row(due=2), row()._replace(delegation_id="d-2")]
    assert len({first, *map(made, others)}) == 5


def test_id_never_changes() -> None:
    """An id of another release would write the same verdict a second time."""
    found = judge(row(), RULES, now=NOW)
    assert isinstance(found, Stuck)
    assert str(verdict_of(row(), found, RULES, judged_at=NOW).id) == "e75c1cb8-b467-5c7a-9651-c5eb8992590a"


def test_never_heard_says_so() -> None:
    found = judge(row(heard=None), RULES, now=NOW, callee_speaks=True)
    assert isinstance(found, Stuck)
    assert verdict_of(row(heard=None), found, RULES, judged_at=NOW).error_detail == (
        "its callee never sent a heartbeat for it, and nothing happened since 2025-05-05T11:40:00.000000+00:00, "
        "for 20 min 0 s (threshold 10 min 0 s)"
    )


def test_instant_of_another_zone_is_written_in_utc() -> None:
    assert as_text(NOW.astimezone(timezone(timedelta(hours=2)))) == "2025-05-05T12:00:00.000000+00:00"


# --- with the fold: a verdict never beats a later sign of life that precedes it in the log

EVENTS = st.lists(
    st.one_of(
        st.integers(0, 90).map(heartbeat),
        st.tuples(st.integers(0, 90), st.sampled_from(["dispatched", "in_progress"])).map(lambda e: answer(*e)),
        st.tuples(st.integers(90, 99), st.integers(0, 90)).map(lambda e: verdict(e[0], silent=e[1])),
        st.integers(90, 99).map(lambda minute: verdict(minute, "failed", silent=None)),
        st.integers(0, 99).map(lambda minute: answer(minute, "completed")),
    ),
    max_size=8,
)


@given(EVENTS, st.lists(st.integers(1, 8), max_size=3))
def test_verdicts_and_signs_make_one_table_in_any_batches(events: list[Any], places: list[int]) -> None:
    records = log(delegate(0), *events)
    once = fold_batches(records)
    twice = fold_batches(*split(records, places), *split(records, places))
    assert twice.rows == once.rows


@given(EVENTS)
def test_stale_verdict_changes_nothing(events: list[Any]) -> None:
    memory = fold_batches(log(delegate(0)))
    for each in events:
        before_it = memory.rows["d-1"]
        [outcome] = memory.project(log(each))
        if each["method"] != "verdict" or before_it.status not in IN_FLIGHT:
            continue
        since = each["request_body"].get("silent_since")
        is_stale = since is not None and before_it.updated_at > datetime.fromisoformat(since)
        assert (outcome is Outcome.STALE) == is_stale
        if is_stale:
            assert memory.rows["d-1"] == before_it
