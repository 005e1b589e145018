"""Why one record ended in its outcome, in one sentence."""

from datetime import datetime
from typing import NamedTuple

from projector.contract.facts import Status
from projector.domain.outcomes import LOST, MEANING, REPEATED, Outcome


class Why(NamedTuple):
    """Why a record ended as it did.

    `status`: of the row before. `holder`: the delegation that holds its idempotency key.
    """

    status: Status | None = None
    changed: bool = False
    holder: str | None = None
    unparked: int = 0
    """How many parked events were applied."""
    reason: str | None = None
    """Why it cannot be read."""
    silent_since: datetime | None = None
    """The evidence of a verdict."""
    updated_at: datetime | None = None
    """When the row before was updated."""


def sentence(outcome: Outcome, why: Why) -> str:
    """The outcome in one sentence, with the details of this record."""
    if outcome is Outcome.DUPLICATE:
        return REPEATED if why.holder is None else f"{LOST}: {why.holder}"
    if outcome is Outcome.STALE:
        return _stale(why)
    return MEANING[outcome] + _details(outcome, why)


def _stale(why: Why) -> str:
    if why.status is None:
        return MEANING[Outcome.STALE]
    if why.silent_since is None or why.updated_at is None:
        return f"the delegation had passed this status (it was {why.status})"
    updated_at, silent_since = why.updated_at.isoformat(), why.silent_since.isoformat()
    return f"the row was updated at {updated_at}, later than the verdict's evidence: silent since {silent_since}"


def _details(outcome: Outcome, why: Why) -> str:
    if outcome is Outcome.INSERTED and why.unparked:
        return f" (parked before it: {why.unparked})"
    if outcome is Outcome.REFUSED and why.status is not None:
        return f" (it was {why.status})"
    if outcome is Outcome.HEARTBEAT and not why.changed:
        return ", which was already recorded"
    if outcome is Outcome.DEAD_LETTER and why.reason:
        return f": {why.reason}"
    return ""
