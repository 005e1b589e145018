"""Why one record ended in its outcome, in one sentence."""

from datetime import datetime
from typing import NamedTuple

from projector.contract.facts import Status
from projector.domain.outcomes import LOST, MEANING, REPEATED, Outcome
from projector.explain.evidence import utc
from projector.texts import counted, named


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
    is_verdict: bool = False
    silent_since: datetime | None = None
    """The evidence of a verdict."""
    updated_at: datetime | None = None
    """When the row before was updated."""


def sentence(outcome: Outcome, why: Why) -> str:
    """The outcome in one sentence, with the details of this record."""
    if why.is_verdict and (unchanged := _unchanged(outcome, why)):
        return unchanged
    if outcome is Outcome.DUPLICATE:
        return REPEATED if why.holder is None else f"{LOST}: {why.holder}"
    if outcome is Outcome.STALE and why.status is not None:
        return f"the delegation had passed this status (it was {why.status})"
    return MEANING[outcome] + _details(outcome, why)


def _unchanged(outcome: Outcome, why: Why) -> str | None:
    """Why a verdict changed nothing."""
    if outcome is Outcome.STALE and why.silent_since is not None and why.updated_at is not None:
        return (
            f"the delegation gave a sign of life at {utc(why.updated_at)}, after the time that this verdict rests on, "
            f"{utc(why.silent_since)}: it changes nothing"
        )
    if outcome is Outcome.REFUSED:
        return f"the delegation had ended before (it was {why.status}): this verdict changes nothing"
    if outcome is Outcome.DUPLICATE:
        return f"the delegation was {why.status} before: this verdict changes nothing"
    return None


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


def detail(outcome: Outcome, why: Why) -> str:
    """What the outcome of this record has of its own, in a few words; empty if there is nothing."""
    if outcome is Outcome.INSERTED and why.unparked:
        return f"with {counted(why.unparked, 'parked event')}"
    if outcome is Outcome.DUPLICATE and why.holder is not None:
        return f"{named(why.holder)} holds its key"
    if outcome is Outcome.HEARTBEAT and not why.changed:
        return "already recorded"
    if outcome is Outcome.STALE and why.is_verdict and why.updated_at is not None:
        return f"alive at {utc(why.updated_at)}"
    if outcome in (Outcome.STALE, Outcome.REFUSED) and why.status is not None:
        return f"it was {why.status}"
    return why.reason or ""
