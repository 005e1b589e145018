"""What is sent to the caller of a delegation that ended, and when it is tried again (docs/pushing.md)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID, uuid5

from projector.contract.facts import Status

TEXT_DELAY = timedelta(seconds=2)
"""How long a reply waits for another one that is better, after a report with a text."""
NO_TEXT_DELAY = timedelta(seconds=30)
"""How long a reply about `completed` without a text waits for the text."""
MOST_ATTEMPTS = 20
LONGEST_DELAY = timedelta(minutes=15)
_NAMESPACE = UUID("9d1b4c0e-6a1f-4f0e-9d0c-3f0f5f2b7a55")
"""Of the ids of replies. It never changes, so that every process computes the same id for a reply."""
_DEFINITE = ("22", "23")
"""The SQLSTATE classes of errors that another try does not change: of data, and of integrity."""


class Kind(StrEnum):
    """Who said that a delegation ended: its callee, or a sweeper. A report of `stuck` is a verdict."""

    REPORT = "report"
    VERDICT = "verdict"


class State(StrEnum):
    """The state of a reply, as operators see it. Only DUE is not final."""

    DUE = "due"
    SENT = "sent"
    TOLD_BY_PLATFORM = "told_by_platform"
    GIVEN_UP = "given_up"
    EXPIRED = "expired"
    DISCARDED = "discarded"


class End(NamedTuple):
    """A terminal report or verdict that was read. `row_id` is its activity row, which has the whole text."""

    kind: Kind
    status: Status
    at: datetime
    has_text: bool
    row_id: str | None


class Ended(NamedTuple):
    """A row of the view that ended."""

    delegation_id: str
    caller_id: str
    callee_id: str
    status: Status
    result_preview: str | None
    error_detail: str | None
    created_at: datetime


class Reply(NamedTuple):
    """What the caller is told. The whole text is in the activity row `row_id`; `preview` is what the view has of it."""

    event_id: UUID
    delegation_id: str
    caller_id: str
    callee_id: str
    status: Status
    created_at: datetime
    row_id: str | None
    has_text: bool
    preview: str | None


def event_id(delegation_id: str) -> UUID:
    """The id of the only reply that a delegation ever has."""
    return uuid5(_NAMESPACE, delegation_id)


def reply_to(row: Ended, ends: Sequence[End]) -> Reply:
    """The reply about a row of the view. Without an end that was read, it is what the view has.

    `ends`: the ends of this delegation, in the order of the log.
    """
    end = chosen(row.status, ends)
    status = end.status if end else row.status
    preview = row.result_preview if status is Status.COMPLETED else row.error_detail
    if status is not row.status:
        preview = None  # that of another end
    return Reply(
        event_id(row.delegation_id),
        *row[:3],
        status,
        row.created_at,
        end.row_id if end else None,
        end.has_text if end else bool(preview),
        preview,
    )


def chosen(status: Status, ends: Sequence[End]) -> End | None:
    """The end that the caller is told, for a row with this status. None if no end explains the row.

    It is the first report with a text that agrees with the row, else the first end that agrees. If the row ended by a
    verdict, the first real report decides instead, whatever its status is: the best that is known.
    """
    agreeing = [end for end in ends if end.status is status]
    reports = [end for end in ends if end.kind is Kind.REPORT]
    is_judged = status is Status.STUCK or (agreeing and agreeing[0].kind is Kind.VERDICT)
    if is_judged and reports:
        agreeing = [end for end in reports if end.status is reports[0].status]
    with_text = [end for end in agreeing if end.has_text and end.kind is Kind.REPORT]
    return next(iter(with_text or agreeing), None)


def is_definite(sqlstate: str) -> bool:
    """Whether Postgres refused the content of a reply, so that another try is useless."""
    return sqlstate.startswith(_DEFINITE)


def delay(attempts: int, share: float) -> timedelta:
    """How long to wait after this many failed attempts: it doubles, from two seconds up to 15 minutes.

    `share` (0 to 1) is random: it shortens the delay by up to a half, so that replies that failed together are not
    tried together.
    """
    longest = min(timedelta(seconds=2.0 ** min(attempts, MOST_ATTEMPTS)), LONGEST_DELAY)
    return longest * (1 - share / 2)
