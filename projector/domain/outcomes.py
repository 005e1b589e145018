"""How a record ends: the outcomes, and the meaning of each in the words of docs/delegations.md."""

from enum import StrEnum


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
    Outcome.INSERTED: "a delegate row made a new row; its own status and its parked events are applied too",
    Outcome.ADVANCED: "the status moved forward",
    Outcome.HEARTBEAT: "the delegation is in flight, and its callee was alive",
    Outcome.FILLED: "a terminal row without a result or an error got one from a later event with the same status",
    Outcome.DUPLICATE: f"{REPEATED}; or {LOST}",
    Outcome.STALE: "the delegation had passed this status; or it gave a sign of life after the evidence of a verdict",
    Outcome.REFUSED: "the delegation has ended, so this event changes nothing",
    Outcome.PARKED: "the delegation is not requested yet; the event is kept, and applied when the request comes",
    Outcome.UNRELATED: "an activity of another type",
    Outcome.UNCORRELATED: "a result or a heartbeat without a delegation id, as old writers made for busy targets",
    Outcome.TOMBSTONE: "a record without meaning: a null value, a delete, or the connector's own record",
    Outcome.DEAD_LETTER: "a record that cannot be read, kept whole with the reason and the field",
}
