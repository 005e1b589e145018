"""One batch, one transaction: rows, parked events, dead letters and positions are written together or not at all."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from projector.contract.envelope import Record
from projector.contract.fields import recorded_at
from projector.domain.fold import DeadLetter, TranslatedBatch, WorkingSet, resolve_unavailable, translate_batch
from projector.domain.outcomes import Outcome
from projector.domain.positions import Fence, Move
from projector.errors import Unwritable, WriteConflict
from projector.postgres import dead_letters, delegations
from projector.postgres.connection import Connection, mapped_errors, transaction
from projector.postgres.dead_letters import Coordinates, StoredDeadLetter
from projector.postgres.write_batch import write

_TRIES = 10

Outcomes = Counter[Outcome]


def project(conn: Connection, records: Sequence[Record], fence: Fence | None = None) -> Outcomes:
    """Project a batch and move the gate's positions; how its records ended, adding up to their number.

    Without a gate (a replay, a retried dead letter) no position moves. Raises Fenced where a position is no longer
    ours, DatabaseAway where Postgres is away or the rows are changed too fast by others: nothing is written then.
    """
    return PendingBatch(conn, records, translate_batch(records), fence).wait()


class PendingBatch:
    """A batch that Postgres is writing, and commits by itself: meanwhile the next one can be polled and read.

    The session is good for nothing else until `outcomes` were asked for. To make one may raise DatabaseAway.
    """

    def __init__(
        self, conn: Connection, records: Sequence[Record], reading: TranslatedBatch, fence: Fence | None = None
    ) -> None:
        self.moves = fence.moves if fence else ()
        self._conn = conn
        self._records = records
        self._reading = reading
        self._gate = fence
        self._sent: _PendingWrite | None = None
        with suppress(Unwritable, WriteConflict):  # `wait` meets it again
            self._sent = _send(conn, reading, fence)

    def wait(self) -> Outcomes:
        """Wait until the batch is written, whatever it takes; as `project` does, and with its errors."""
        try:
            return _with_retries(self._attempt)
        except Unwritable as error:
            return _split(self._conn, self._records, self._gate, error)
        except WriteConflict:
            if len(self._records) < 2:
                raise
            return _halve(self._conn, self._records, self._gate)  # the fewer rows, the fewer others who write them

    def _attempt(self) -> Outcomes:
        sent, self._sent = self._sent or _send(self._conn, self._reading, self._gate), None
        sent.wait()
        return sent.outcomes


def _with_retries(attempt: Callable[[], Outcomes]) -> Outcomes:
    """Write, and again where another writer got in between."""
    for _ in range(_TRIES - 1):
        with suppress(WriteConflict):
            return attempt()
    try:
        return attempt()
    except WriteConflict as error:
        raise WriteConflict(f"gave up after {_TRIES} tries: {error}") from error


def _split(conn: Connection, records: Sequence[Record], fence: Fence | None, error: Unwritable) -> Outcomes:
    """Halve the batch until the one record that Postgres refuses is alone, and keep that one as a dead letter."""
    if len(records) > 1:
        return _halve(conn, records, fence)
    if not records:
        raise error
    return PendingBatch(conn, (), _refused(records, str(error)), fence).wait()


def _halve(conn: Connection, records: Sequence[Record], fence: Fence | None) -> Outcomes:
    half = len(records) // 2
    first, second = _split_fence(fence, records[:half]) if fence else (None, None)
    return project(conn, records[:half], first) + project(conn, records[half:], second)


def _split_fence(fence: Fence, head: Sequence[Record]) -> tuple[Fence, Fence]:
    """The gate for `head`, and the gate for what comes after it."""
    reached = {(record.topic, record.partition): record for record in head}
    first, second = [], []
    for move in fence.moves:
        last = reached.get((move.topic, move.partition))
        if last is None:
            second.append(move)
        elif last.offset + 1 == move.next_offset:
            first.append(move)
        else:
            first.append(Move(move.topic, move.partition, move.start, last.offset + 1, recorded_at(last.timestamp)))
            second.append(move._replace(start=last.offset + 1))
    return Fence(fence.token, first), Fence(fence.token, second)


def project_dead_letters(conn: Connection, places: Sequence[Coordinates]) -> Outcomes:
    """Project dead letters once more; in the same transaction each leaves, or is kept with its new reason.

    No position moves. Letters that are no longer there count for nothing. Raises DatabaseAway as `project` does.
    """
    try:
        return _with_retries(lambda: _write_dead_letters(conn, places, translate_batch))
    except Unwritable as error:
        if len(places) > 1:
            half = len(places) // 2
            return project_dead_letters(conn, places[:half]) + project_dead_letters(conn, places[half:])
        reason = str(error)
        return _with_retries(lambda: _write_dead_letters(conn, places, lambda letters: _refused(letters, reason)))


def _write_dead_letters(
    conn: Connection, places: Sequence[Coordinates], reading: Callable[[Sequence[StoredDeadLetter]], TranslatedBatch]
) -> Outcomes:
    with transaction(conn):
        letters = dead_letters.take(conn, places)
        sent = _send(conn, reading(letters), None)
        sent.wait()
        dead_letters.record_retry(conn, letters, sent.dead)
        return sent.outcomes


def _refused(records: Sequence[Record], reason: str) -> TranslatedBatch:
    return TranslatedBatch([], [DeadLetter(record, reason, None) for record in records], Counter())


class _PendingWrite(NamedTuple):
    """How the records of a batch end if it is written, the dead letters among them, and how to wait for that."""

    outcomes: Outcomes
    dead: Sequence[DeadLetter]
    wait: Callable[[], None]


def _send(conn: Connection, reading: TranslatedBatch, fence: Fence | None) -> _PendingWrite:
    """Read what the batch touches, without locks, fold it, and send what changes."""
    with mapped_errors():
        reading, large_rows = _resolve_unavailable(conn, reading)
        view, versions = _read_working_set(conn, reading)
    outcomes = Counter(reading.outcomes)
    for record, translation in reading.said:
        outcomes[view.apply(record, translation)] += 1
    dead = reading.dead_letters
    if dead:
        outcomes[Outcome.DEAD_LETTER] += len(dead)
    return _PendingWrite(
        outcomes, dead, write(conn, view.changes(), versions, dead=dead, remembered=large_rows, fence=fence)
    )


def _resolve_unavailable(conn: Connection, reading: TranslatedBatch) -> tuple[TranslatedBatch, dict[str, str]]:
    """Resolve the bodies that were left out; what the batch itself has to remember, as row id → delegation id."""
    wanted = [translation.unavailable_row_id for _, translation in reading.said if translation.unavailable_row_id]
    reading = resolve_unavailable(reading, delegations.read_large_rows(conn, wanted) if wanted else {})
    said = (translation for _, translation in reading.said)
    return reading, {each.large_row_id: each.delegation_id for each in said if each.large_row_id}


def _read_working_set(conn: Connection, reading: TranslatedBatch) -> tuple[WorkingSet, dict[str, str]]:
    ids = list({translation.delegation_id for _, translation in reading.said})
    requests = [translation.request for _, translation in reading.said if translation.request]
    seen = delegations.read_states(conn, ids) if ids else []
    known = {each.state.delegation_id: each.version for each in seen}
    keys = [
        (request.caller_id, request.idempotency_key)
        for request in requests
        if request.idempotency_key and request.delegation_id not in known
    ]
    view = WorkingSet(
        (each.state for each in seen),
        delegations.read_holders(conn, keys) if keys else {},
        delegations.read_parked(conn, [request.delegation_id for request in requests]) if requests else (),
    )
    return view, known
