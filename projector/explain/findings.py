"""What is known of one delegation when its records were read: the facts from which the verdict follows."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from projector.domain.lifecycle import Delegation
from projector.explain.dead_letters import RelatedLetter
from projector.postgres.dead_letters import Coordinates


class PartitionLag(NamedTuple):
    """A partition that has records of the delegation after its position; `position` is None if none is stored."""

    partition: int
    position: int | None
    records: int


class Repeated(NamedTuple):
    """A request that repeats the idempotency key of another delegation, the holder. None: not known any more."""

    holder_id: str
    place: Coordinates | None
    caller_id: str | None = None
    idempotency_key: str | None = None


class Source(NamedTuple):
    """Where the records come from. Without all records, a row may be older than they are."""

    topic: str
    name: str
    is_complete: bool
    is_cut: bool = False
    """Only the newest records were read."""


class Findings(NamedTuple):
    """The facts from which the verdict follows.

    `folded` is the row that all records make, `projected` the row that the records before the positions make, and
    `stored` the row in the view.
    """

    delegation_id: str
    source: Source
    folded: Delegation | None
    projected: Delegation | None
    stored: Delegation | None
    lags: Sequence[PartitionLag] = ()
    request: Coordinates | None = None
    """The first request of the delegation that can be read."""
    repeated: Repeated | None = None
    letters: Sequence[RelatedLetter] = ()
    parked: int = 0
    events: int = 0
    """How many records are about the delegation."""
    mentions: int = 0
    """How many records only mention it."""
    is_order_decisive: bool = False
    """Whether another order between the partitions could have made the row that is stored."""
    pruned_at: datetime | None = None
