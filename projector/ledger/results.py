"""The results of the writes of the ledger."""

from enum import StrEnum
from typing import NamedTuple

from projector.domain.outcomes import Outcome


class Conflict(StrEnum):
    """What the existing row has in common with the one that was to be inserted."""

    SAME_ID = "same id"
    SAME_KEY = "same caller and idempotency key"


class Inserted(NamedTuple):
    """A row was inserted."""

    delegation_id: str


class AlreadyExists(NamedTuple):
    """No row was inserted; `delegation_id` is the id of the existing row."""

    delegation_id: str
    why: Conflict


class Effect(StrEnum):
    """What a call did to the row. If several writers make the same transition, exactly one gets `ADVANCED`."""

    ADVANCED = Outcome.ADVANCED
    """The row has the new status."""
    FILLED = Outcome.FILLED
    """The row had this final status without a text; now it has the text."""
    HEARTBEAT = Outcome.HEARTBEAT
    """The row is in flight; its `last_heartbeat` is now."""
    DUPLICATE = Outcome.DUPLICATE
    """The row has this status already. A text that is stored is never replaced."""
    STALE = Outcome.STALE
    """The row is in flight and has a later status."""
    REFUSED = Outcome.REFUSED
    """The delegation has ended: with another status, or the call was a heartbeat."""
    MISSING = "missing"
    """There is no row. The projector would park such an event; the ledger keeps nothing."""
