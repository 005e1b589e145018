"""Which delegations in flight are stuck or overdue: a pure judgement of one row, at a time that the caller gives.

docs/sweeping.md has the rules. A judgement is about the view alone, so it is only a candidate: the statement that
writes a verdict looks for later signs of life in the platform's table.
"""

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID, uuid5

from projector.contract.facts import Status
from projector.texts import duration

_NAMESPACE = UUID("9f0e6f0a-6c0b-5d0e-8a53-0d5f5b1f7c11")
"""Of the ids of verdicts. It never changes: an id that exists already is not written again."""
HEARD_WITHIN = timedelta(days=7)
"""A callee that has sent a heartbeat within this time is one that speaks."""

NeverHeard: TypeAlias = Literal["known", "count", "skip"]


class Rule(StrEnum):
    """The rule that a verdict follows."""

    DEADLINE = "deadline"
    SILENCE = "silence"
    NEVER_HEARD = "never_heard"


class Reason(StrEnum):
    """Why a delegation is left alone."""

    WITHIN_GRACE = "its deadline has just passed"
    FUTURE = "its last event has a time in the future"
    ALIVE = "its last sign of life is younger than the threshold"
    OUTAGE = "signs of life of the whole platform were missing meanwhile"
    CALLEE_UNKNOWN = "it never had a heartbeat, and its callee has sent none for other delegations lately"
    NOT_ASKED = "it never had a heartbeat, and PROJECTOR_NEVER_HEARD is skip"


class InFlight(NamedTuple):
    """A row of `delegations` in flight. `deadline` is None if it is infinite."""

    delegation_id: str
    caller_id: str
    callee_id: str
    last_heartbeat: datetime | None
    deadline: datetime | None
    created_at: datetime
    updated_at: datetime


class Thresholds(NamedTuple):
    """When silence and deadlines count."""

    stuck_after: timedelta
    grace: timedelta
    never_heard: NeverHeard


class Stuck(NamedTuple):
    """No sign of life since `silent_since`, which is the evidence."""

    rule: Rule
    silent_since: datetime
    silent_for: timedelta


class Failed(NamedTuple):
    """The deadline, which is the evidence, has passed."""

    deadline: datetime
    overdue_for: timedelta

    @property
    def rule(self) -> Rule:
        return Rule.DEADLINE


class Leave(NamedTuple):
    """Nothing is wrong, or nothing is proved. `counted`: what was compared with the threshold."""

    reason: Reason
    counted: timedelta


Judgement: TypeAlias = Stuck | Failed | Leave


def judge(
    row: InFlight,
    thresholds: Thresholds,
    *,
    now: datetime,
    gap_ended_at: datetime | None = None,
    callee_speaks: bool = False,
) -> Judgement:
    """Judge a row. A deadline that has passed decides alone.

    `gap_ended_at`: the end of the latest gap in all signs of life of the platform; silence counts from then on.
    `callee_speaks`: the callee has sent a heartbeat for any delegation within HEARD_WITHIN.
    """
    if row.deadline is not None and row.deadline < now:
        overdue_for = now - row.deadline
        if overdue_for > thresholds.grace:
            return Failed(row.deadline, overdue_for)
        return Leave(Reason.WITHIN_GRACE, overdue_for)
    silent_for = now - row.updated_at
    if silent_for < timedelta(0):
        return Leave(Reason.FUTURE, silent_for)
    if silent_for <= thresholds.stuck_after:
        return Leave(Reason.ALIVE, silent_for)
    if gap_ended_at is not None and now - gap_ended_at <= thresholds.stuck_after:
        return Leave(Reason.OUTAGE, now - gap_ended_at)
    if row.last_heartbeat is not None:
        return Stuck(Rule.SILENCE, row.updated_at, silent_for)
    if thresholds.never_heard == "skip":
        return Leave(Reason.NOT_ASKED, silent_for)
    if thresholds.never_heard == "known" and not callee_speaks:
        return Leave(Reason.CALLEE_UNKNOWN, silent_for)
    return Stuck(Rule.NEVER_HEARD, row.updated_at, silent_for)


def brake_limit(in_flight: int, *, minimum: int, percent: int) -> int:
    """The most stuck verdicts of one pass. `in_flight`: the delegations in flight whose callees speak."""
    return max(minimum, in_flight * percent // 100)


class Verdict(NamedTuple):
    """A verdict as it is written: `body` is JSON, `error_detail` one sentence without any text of the task."""

    id: UUID
    row: InFlight
    rule: Rule
    status: Status
    evidence: datetime
    body: str
    error_detail: str


def verdict(row: InFlight, judgement: Stuck | Failed, thresholds: Thresholds, *, judged_at: datetime) -> Verdict:
    """The verdict of a judgement. Its id is the same for each delegation, rule and evidence."""
    if isinstance(judgement, Failed):
        status, name, evidence, threshold = Status.FAILED, "deadline", judgement.deadline, thresholds.grace
    else:
        status, name = Status.STUCK, "silent_since"
        evidence, threshold = judgement.silent_since, thresholds.stuck_after
    body = {
        "delegation_id": row.delegation_id,
        "rule": judgement.rule,
        name: as_text(evidence),
        "threshold_seconds": int(threshold.total_seconds()),
        "judged_at": as_text(judged_at),
    }
    return Verdict(
        uuid5(_NAMESPACE, "\0".join((row.delegation_id, judgement.rule, as_text(evidence)))),
        row,
        judgement.rule,
        status,
        evidence,
        json.dumps(body),
        _sentence(judgement, threshold),
    )


def as_text(at: datetime) -> str:
    """An instant in UTC with six decimals: a text that was cut would be older than the event that it is about."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _sentence(judgement: Stuck | Failed, threshold: timedelta) -> str:
    limit = duration(threshold.total_seconds())
    if isinstance(judgement, Failed):
        passed = f"the deadline {as_text(judgement.deadline)} passed {duration(judgement.overdue_for.total_seconds())}"
        return f"{passed} ago without an answer (grace {limit})"
    silent = f"since {as_text(judgement.silent_since)}, for {duration(judgement.silent_for.total_seconds())}"
    if judgement.rule is Rule.NEVER_HEARD:
        return f"its callee never sent a heartbeat for it, and nothing happened {silent} (threshold {limit})"
    return f"no sign of life {silent} (threshold {limit})"
