"""Failures by their reason: which, since when, how many, and of whom."""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from projector.postgres import queries, views_failures
from projector.postgres.views_failures import LATEST, Failed
from projector.web.parameters import Parameters
from projector.web.reader import Reader

_SAMPLES = 3
_UUID = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE)
_TIME = re.compile(
    r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:Z|UTC|GMT)\b|[+-]\d\d(?::?\d\d)?\b)?)?(?!\d)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|«[^»]*»|“[^”]*”")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_SPACE = re.compile(r"\s+")
_MAX_REASON = 200


class Reason(NamedTuple):
    """Failures with one reason. Ids, quoted texts, times and numbers in it are replaced by signs."""

    reason: str
    status: str
    failures: int
    first_at: datetime
    last_at: datetime
    callees: dict[str, int]
    samples: list[str]


class Failures(NamedTuple):
    """The reasons, the most frequent first. `looked_at`: the number of failures; `most`: the limit of it."""

    as_of: datetime
    hours: int
    caller: str | None
    callee: str | None
    looked_at: int
    most: int
    reasons: list[Reason]


def failures(reader: Reader, given: Parameters) -> Failures:
    """Read the latest failures and group them. Raises BadParameter."""
    hours = given.hours()
    caller, callee = given.workspace("caller"), given.workspace("callee")
    given.refuse_unknown()
    with reader.connection() as conn:
        now = queries.clock(conn)
        found = views_failures.latest(conn, window=timedelta(hours=hours), caller_id=caller, callee_id=callee)
    return Failures(now, hours, caller, callee, len(found), LATEST, grouped(found))


def grouped(found: Iterable[Failed]) -> list[Reason]:
    """The failures by status and normalised reason. They come with the newest first."""
    groups: dict[tuple[str, str], list[Failed]] = {}
    for each in found:
        groups.setdefault((each.status, normalised(each.error_detail)), []).append(each)
    reasons = [
        Reason(
            reason,
            status,
            len(members),
            members[-1].ended_at,
            members[0].ended_at,
            dict(Counter(each.callee_id for each in members).most_common()),
            [each.delegation_id for each in members[:_SAMPLES]],
        )
        for (status, reason), members in groups.items()
    ]
    return sorted(reasons, key=lambda each: (-each.failures, each.reason))


def normalised(reason: str | None) -> str:
    """The reason without what differs from case to case: ids, quoted texts, times, numbers."""
    if not reason or not reason.strip():
        return "(no reason given)"
    text = _UUID.sub("<id>", reason)
    text = _QUOTED.sub("<text>", text)
    text = _TIME.sub("<time>", text)
    text = _NUMBER.sub("<n>", text)
    return _SPACE.sub(" ", text).strip()[:_MAX_REASON]
