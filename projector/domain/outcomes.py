"""How a record ends: the outcomes, what each means in the words of docs/delegations.md, and why this record got it."""

from enum import StrEnum
from typing import NamedTuple

from projector.contract.facts import Status


class Outcome(StrEnum):
    """How a record ended. Each record ends in exactly one outcome."""

    INSERTED = "inserted"
    ADVANCED = "advanced"
    HEARTBEAT = "heartbeat"
    FILLED = "filled"
    DUPLICATE = "duplicate"
    STALE = "stale"
    REFUSED = "refused"
    PARKED = "parked"
    UNRELATED = "unrelated"
    UNCORRELATED = "uncorrelated"
    TOMBSTONE = "tombstone"
    DEAD_LETTER = "dead_letter"


REPEATED = "a repetition that changes nothing"
LOST = "another delegation holds the idempotency key of this request"

MEANING = {
    Outcome.INSERTED: "a delegate row made a new row; its own status and the events parked for it are applied too",
    Outcome.ADVANCED: "the status moved forward",
    Outcome.HEARTBEAT: "the delegation is in flight, and its callee was alive",
    Outcome.FILLED: "a terminal row without a result or an error got one from a later event with the same status",
    Outcome.DUPLICATE: f"{REPEATED}; or {LOST}",
    Outcome.STALE: "the delegation had already passed this status",
    Outcome.REFUSED: "the delegation has ended, so this event changes nothing",
    Outcome.PARKED: "the delegation is not requested yet; the event is kept, and applied when the request comes",
    Outcome.UNRELATED: "an activity of another type",
    Outcome.UNCORRELATED: "a result or a heartbeat without a delegation id, as old writers made for busy and "
    "unreachable targets",
    Outcome.TOMBSTONE: "a record without meaning: a null value, a delete, or the connector's own record",
    Outcome.DEAD_LETTER: "a record that cannot be read, kept whole with the reason and the field",
}


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


def sentence(outcome: Outcome, why: Why) -> str:
    """The outcome in one sentence, with the details of this record."""
    if outcome is Outcome.DUPLICATE:
        return REPEATED if why.holder is None else f"{LOST}: {why.holder}"
    return MEANING[outcome] + _details(outcome, why)


def _details(outcome: Outcome, why: Why) -> str:
    if outcome is Outcome.INSERTED and why.unparked:
        return f" (parked before it: {why.unparked})"
    if outcome in (Outcome.STALE, Outcome.REFUSED) and why.status is not None:
        return f" (it was {why.status})"
    if outcome is Outcome.HEARTBEAT and not why.changed:
        return ", which was already recorded"
    if outcome is Outcome.DEAD_LETTER and why.reason:
        return f": {why.reason}"
    return ""
