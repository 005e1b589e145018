"""Dead letters, all of them or some: projected once more in log order, or discarded, piece by piece."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from projector.postgres import dead_letters
from projector.postgres.connection import Connection, transaction
from projector.postgres.dead_letters import BEFORE_ALL, Coordinates, Filter
from projector.projection.transaction import Outcomes, project_dead_letters


class BatchLimits(NamedTuple):
    """How much one transaction may hold: so many records and, one record aside, so many bytes of values."""

    records: int
    bytes: int


def retry(
    conn: Connection, wanted: Filter, most: BatchLimits, *, progress: Callable[[int], object] = lambda records: None
) -> Outcomes:
    """Project them in order of topic, partition and offset; how they ended. `progress` hears how many are done so far.

    Several at once are safe, and a retry that was interrupted is simply run again: each piece is one transaction, in
    which a letter is projected and deleted, or kept with its new reason. Raises DatabaseAway as `project` does.
    """
    outcomes: Outcomes = Counter()
    for places in _chunks(conn, wanted, most):
        outcomes += project_dead_letters(conn, places)
        progress(outcomes.total())
    return outcomes


def discard(conn: Connection, wanted: Filter, most: BatchLimits) -> int:
    """Delete them for good; how many there were."""
    count = 0
    for places in _chunks(conn, wanted, most):
        with transaction(conn):
            count += dead_letters.discard(conn, places)
    return count


def _chunks(conn: Connection, wanted: Filter, most: BatchLimits) -> Iterator[list[Coordinates]]:
    after = BEFORE_ALL
    while places := _following(conn, after, wanted, most):
        yield places
        after = places[-1]


def _following(conn: Connection, after: Coordinates, wanted: Filter, most: BatchLimits) -> list[Coordinates]:
    with transaction(conn):
        return dead_letters.places_after(conn, after, wanted, most_records=most.records, most_bytes=most.bytes)
