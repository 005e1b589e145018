"""Dead letters, all or some: projected again in the order of the topic, or discarded, one transaction per chunk."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from projector.domain.fold import TranslatedBatch, translate_batch
from projector.errors import StatementTimeout, Unwritable
from projector.postgres import dead_letters
from projector.postgres.connection import Connection, transaction
from projector.postgres.dead_letters import BEFORE_ALL, Filter, LetterKey, StoredDeadLetter
from projector.projection.limits import AdaptiveLimits, Limits
from projector.projection.sending import send_batch
from projector.projection.transaction import Outcomes, of_one, refused, with_retries
from projector.settings import BatchLimits


def retry(
    conn: Connection,
    wanted: Filter,
    limits: BatchLimits,
    *,
    push: bool = False,
    progress: Callable[[int], object] = lambda records: None,
) -> Outcomes:
    """Project dead letters again, by topic, partition and offset. Returns how they ended.

    `progress` gets the number of records so far. Several retries at once are safe. After an interruption run it again:
    each chunk is one transaction, in which a dead letter is projected and deleted, or kept with its new reason. Raises
    DatabaseUnavailable and RecordTooSlow as `project` does. `push`: as in `send_batch`.
    """
    outcomes: Outcomes = Counter()
    adaptive = AdaptiveLimits(limits)
    for places in _chunks(conn, wanted, adaptive):
        outcomes += project_dead_letters(conn, places, adaptive, push=push)
        progress(outcomes.total())
    return outcomes


def project_dead_letters(
    conn: Connection, places: Sequence[LetterKey], limits: AdaptiveLimits, *, push: bool = False
) -> Outcomes:
    """Project dead letters again. In the same transaction each is deleted, or kept with its new reason.

    No position moves. Dead letters that are no longer there are not counted. Raises as `project`.
    """
    try:
        outcomes = with_retries(lambda: _write(conn, places, translate_batch, push=push))
    except Unwritable as error:
        if len(places) > 1:
            return _halve(conn, places, limits, push=push)
        reason = str(error)
        return with_retries(lambda: _write(conn, places, lambda letters: refused(letters, reason), push=push))
    except StatementTimeout as error:
        if len(places) < 2:
            raise of_one(places, error) from error
        limits.too_slow(len(places), str(error))
        return _halve(conn, places, limits, push=push)
    limits.written(len(places))
    return outcomes


def _halve(conn: Connection, places: Sequence[LetterKey], limits: AdaptiveLimits, *, push: bool) -> Outcomes:
    """Project the first half, and the rest in parts as large as the limits allow by then."""
    outcomes, size = Outcomes(), len(places) // 2
    while places:
        outcomes += project_dead_letters(conn, places[:size], limits, push=push)
        places, size = places[size:], limits.batch_records
    return outcomes


def _write(
    conn: Connection,
    places: Sequence[LetterKey],
    translated: Callable[[Sequence[StoredDeadLetter]], TranslatedBatch],
    *,
    push: bool,
) -> Outcomes:
    with transaction(conn):
        letters = dead_letters.take(conn, places)
        write = send_batch(conn, translated(letters), None, push=push)
        write.wait()
        dead_letters.record_retry(conn, letters, write.dead_letters)
        return write.outcomes


def discard(conn: Connection, wanted: Filter, limits: BatchLimits) -> int:
    """Delete dead letters permanently. Returns how many there were."""
    count = 0
    for places in _chunks(conn, wanted, limits):
        with transaction(conn):
            count += dead_letters.discard(conn, places)
    return count


def _chunks(conn: Connection, wanted: Filter, limits: Limits) -> Iterator[list[LetterKey]]:
    after = BEFORE_ALL
    while places := _next_chunk(conn, after, wanted, limits):
        yield places
        after = places[-1]


def _next_chunk(conn: Connection, after: LetterKey, wanted: Filter, limits: Limits) -> list[LetterKey]:
    with transaction(conn):
        return dead_letters.places_after(
            conn, after, wanted, max_records=limits.batch_records, max_bytes=limits.batch_bytes
        )
