"""Dead letters, all or some: projected again in the order of the topic, or discarded, one transaction per chunk."""

from collections import Counter
from collections.abc import Callable, Iterator

from projector.postgres import dead_letters
from projector.postgres.connection import Connection, transaction
from projector.postgres.dead_letters import BEFORE_ALL, Filter, LetterKey
from projector.projection.transaction import Outcomes, project_dead_letters
from projector.settings import BatchLimits


def retry(
    conn: Connection,
    wanted: Filter,
    limits: BatchLimits,
    *,
    progress: Callable[[int], object] = lambda records: None,
) -> Outcomes:
    """Project dead letters again, by topic, partition and offset. Returns how they ended.

    `progress` gets the number of records so far. Several retries at once are safe. After an interruption run it again:
    each chunk is one transaction, in which a dead letter is projected and deleted, or kept with its new reason. Raises
    DatabaseUnavailable as `project` does.
    """
    outcomes: Outcomes = Counter()
    for places in _chunks(conn, wanted, limits):
        outcomes += project_dead_letters(conn, places)
        progress(outcomes.total())
    return outcomes


def discard(conn: Connection, wanted: Filter, limits: BatchLimits) -> int:
    """Delete dead letters permanently. Returns how many there were."""
    count = 0
    for places in _chunks(conn, wanted, limits):
        with transaction(conn):
            count += dead_letters.discard(conn, places)
    return count


def _chunks(conn: Connection, wanted: Filter, limits: BatchLimits) -> Iterator[list[LetterKey]]:
    after = BEFORE_ALL
    while places := _next_chunk(conn, after, wanted, limits):
        yield places
        after = places[-1]


def _next_chunk(conn: Connection, after: LetterKey, wanted: Filter, limits: BatchLimits) -> list[LetterKey]:
    with transaction(conn):
        return dead_letters.places_after(
            conn, after, wanted, max_records=limits.batch_records, max_bytes=limits.batch_bytes
        )
