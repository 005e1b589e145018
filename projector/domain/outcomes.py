"""How a record ends: the outcomes, what each means in the words of docs/delegations.md, and why this record got it."""

from enum import StrEnum
from typing import NamedTuple

from projector.contract.facts import Status


class Outcome(StrEnum):
    """How a record ended; each record ends in exactly one."""

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
LOST = "a request whose idempotency key another delegation holds"

MEANING = {
    Outcome.INSERTED: "a delegate row made a new row; its own status, and whatever was parked for it, is applied "
    "with it",
    Outcome.ADVANCED: "the status moved forward",
    Outcome.HEARTBEAT: "the delegation is in flight, and its callee was alive",
    Outcome.FILLED: "a terminal row without a result or an error got one from a later event that says the same status",
    Outcome.DUPLICATE: f"{REPEATED}; or {LOST}",
    Outcome.STALE: "a status that the delegation has left behind",
    Outcome.REFUSED: "the delegation has ended, and this event would have moved it or kept it alive",
    Outcome.PARKED: "the delegation has not been requested yet; the event is kept, and applied when the request comes",
    Outcome.UNRELATED: "an activity that is no delegation",
    Outcome.UNCORRELATED: "a result or a heartbeat without a delegation's id, as old writers made for busy and "
    "unreachable targets",
    Outcome.TOMBSTONE: "a record that means nothing: null values, deletes, the connector's own records",
    Outcome.DEAD_LETTER: "a record that cannot be read, kept whole with the reason and the field",
}


class Why(NamedTuple):
    """What made a record end as it did.

    `status` is that of the row it met, `holder` the delegation that holds its idempotency key.
    """

    status: Status | None = None
    changed: bool = False
    holder: str | None = None
    unparked: int = 0
    """How many parked events it applied."""
    reason: str | None = None
    """Why it cannot be read."""


def sentence(outcome: Outcome, why: Why) -> str:
    """What the outcome means, and what is known of this case."""
    if outcome is Outcome.DUPLICATE:
        return REPEATED if why.holder is None else f"{LOST}: {why.holder}"
    return MEANING[outcome] + _particulars(outcome, why)


def _particulars(outcome: Outcome, why: Why) -> str:
    if outcome is Outcome.INSERTED and why.unparked:
        return f" (parked before it: {why.unparked})"
    if outcome in (Outcome.STALE, Outcome.REFUSED) and why.status is not None:
        return f" (it was {why.status} by then)"
    if outcome is Outcome.HEARTBEAT and not why.changed:
        return ", which was known"
    if outcome is Outcome.DEAD_LETTER and why.reason:
        return f": {why.reason}"
    return ""
