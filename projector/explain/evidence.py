"""What a verdict rests on, in one sentence."""

from datetime import datetime

from projector.contract import fields
from projector.contract.envelope import Activity, JsonObject, read_body
from projector.contract.facts import Verdict
from projector.contract.unreadable import Unreadable
from projector.domain.overdue import Rule
from projector.texts import duration


def rests_on(verdict: Verdict, activity: Activity) -> str | None:
    """The sentence. Apart from `silent_since`, the body of a verdict decides nothing, so it may hold anything."""
    body = read_body(activity.row.get("request_body"), "request_body")
    judged_at, deadline = (_time(body.get(name)) for name in ("judged_at", "deadline"))
    noted = f" ({', '.join(found)})" if (found := list(_noted(body))) else ""
    if since := verdict.silent_since:
        what = "no heartbeat ever, and no event" if body.get("rule") == Rule.NEVER_HEARD else "no sign of life"
        if judged_at is None:
            return f"{what} since {utc(since)}{noted}"
        return f"{what} for {_length(since, judged_at)}, since {utc(since)}, {_when(judged_at)}{noted}"
    if deadline is None:
        return None
    if judged_at is None:
        return f"no answer by the deadline {utc(deadline)}{noted}"
    return f"no answer {_length(deadline, judged_at)} after the deadline {utc(deadline)}, {_when(judged_at)}{noted}"


def utc(at: datetime) -> str:
    """An instant in UTC; with fractions of a second, which may decide."""
    return f"{at.replace(tzinfo=None).isoformat(sep=' ')} UTC"


def _when(judged_at: datetime) -> str:
    return f"when it was judged at {utc(judged_at)}"


def _length(since: datetime, until: datetime) -> str:
    return duration((until - since).total_seconds())


def _noted(body: JsonObject) -> list[str]:
    rule, threshold = body.get("rule"), body.get("threshold_seconds")
    return [
        *([f"rule {rule}"] if rule in list(Rule) else []),
        *([f"threshold {duration(threshold)}"] if type(threshold) is int else []),
    ]


def _time(value: object) -> datetime | None:
    try:
        return fields.time(value, "")
    except Unreadable:
        return None
