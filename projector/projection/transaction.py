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
from projector.postgres.dead_letters import LetterKey, StoredDeadLetter
from projector.postgres.write_batch import write

_TRIES = 10

Outcomes = Counter[Outcome]


def project(
    conn: Connection,
    records: Sequence[Record],
    fence: Fence | None = None,
    dead_letters: list[DeadLetter] | None = None,
) -> Outcomes:
    """Project a batch and move the fence's positions. Returns how the records ended; the counts add up to them.

    Appends each dead letter to `dead_letters` when it is written. Without a fence (a replay, a retried dead letter) no
    position moves. Raises Fenced if another process owns a position now. Raises DatabaseUnavailable if Postgres is, or
    if other writers change the rows too often. In both cases nothing is written.
    """
    return PendingBatch(conn, records, translate_batch(records), fence, dead_letters).wait()


class PendingBatch:
    """A batch that Postgres writes and commits by itself, while the next one is polled and translated.

    The connection must not be used until `wait` has returned. The constructor may raise DatabaseUnavailable.
    `dead_letters` are those that are written: none before `wait`, and perhaps some if it raises.
    """

    def __init__(
        self,
        conn: Connection,
        records: Sequence[Record],
        translated: TranslatedBatch,
        fence: Fence | None = None,
        dead_letters: list[DeadLetter] | None = None,
    ) -> None:
        self.moves = fence.moves if fence else ()
        self.dead_letters = [] if dead_letters is None else dead_letters
        self._conn = conn
        self._records = records
        self._translated = translated
        self._fence = fence
        self._write: _PendingWrite | None = None
        with suppress(Unwritable, WriteConflict):  # `wait` tries again and handles it
            self._write = _send(conn, translated, fence)

    def wait(self) -> Outcomes:
        """Wait until the batch is written, and repeat or split it if needed. Returns and raises as `project`."""
        try:
            return _with_retries(self._attempt)
        except Unwritable as error:
            return _split(self._conn, self._records, self._fence, self.dead_letters, error)
        except WriteConflict:
            if len(self._records) < 2:
                raise
            # Fewer rows mean fewer other writers of the same rows.
            return _halve(self._conn, self._records, self._fence, self.dead_letters)

    def _attempt(self) -> Outcomes:
        write, self._write = self._write or _send(self._conn, self._translated, self._fence), None
        write.wait()
        self.dead_letters.extend(write.dead_letters)
        return write.outcomes


def _with_retries(attempt: Callable[[], Outcomes]) -> Outcomes:
    """Write, and again if another writer changed a row in between."""
    for _ in range(_TRIES - 1):
        with suppress(WriteConflict):
            return attempt()
    try:
        return attempt()
    except WriteConflict as error:
        raise WriteConflict(f"gave up after {_TRIES} tries: {error}") from error


def _split(
    conn: Connection, records: Sequence[Record], fence: Fence | None, dead: list[DeadLetter], error: Unwritable
) -> Outcomes:
    """Halve the batch until the record that Postgres refuses is alone. Keep that one as a dead letter."""
    if len(records) > 1:
        return _halve(conn, records, fence, dead)
    if not records:
        raise error
    return PendingBatch(conn, (), _refused(records, str(error)), fence, dead).wait()


def _halve(conn: Connection, records: Sequence[Record], fence: Fence | None, dead: list[DeadLetter]) -> Outcomes:
    half = len(records) // 2
    first, second = _split_fence(fence, records[:half]) if fence else (None, None)
    return project(conn, records[:half], first, dead) + project(conn, records[half:], second, dead)


def _split_fence(fence: Fence, head: Sequence[Record]) -> tuple[Fence, Fence]:
    """The fence for `head`, and the fence for the records after it."""
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


def project_dead_letters(conn: Connection, places: Sequence[LetterKey]) -> Outcomes:
    """Project dead letters again. In the same transaction each is deleted, or kept with its new reason.

    No position moves. Dead letters that are no longer there are not counted. Raises DatabaseUnavailable as `project`.
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
    conn: Connection,
    places: Sequence[LetterKey],
    translated: Callable[[Sequence[StoredDeadLetter]], TranslatedBatch],
) -> Outcomes:
    with transaction(conn):
        letters = dead_letters.take(conn, places)
        write = _send(conn, translated(letters), None)
        write.wait()
        dead_letters.record_retry(conn, letters, write.dead_letters)
        return write.outcomes


def _refused(records: Sequence[Record], reason: str) -> TranslatedBatch:
    return TranslatedBatch([], [DeadLetter(record, reason, None) for record in records], Counter())


class _PendingWrite(NamedTuple):
    """A batch that was sent: how its records end if it is written, and a function that waits for that."""

    outcomes: Outcomes
    dead_letters: Sequence[DeadLetter]
    wait: Callable[[], None]


def _send(conn: Connection, translated: TranslatedBatch, fence: Fence | None) -> _PendingWrite:
    """Read the rows that the batch touches, without locks. Fold it. Send what changes."""
    with mapped_errors():
        translated, large_rows = _resolve_unavailable(conn, translated)
        working_set, versions = _read_working_set(conn, translated)
    outcomes = Counter(translated.outcomes)
    for record, translation in translated.records:
        outcomes[working_set.apply(record, translation)] += 1
    dead = translated.dead_letters
    if dead:
        outcomes[Outcome.DEAD_LETTER] += len(dead)
    wait = write(conn, working_set.changes(), versions, dead_letters=dead, large_rows=large_rows, fence=fence)
    return _PendingWrite(outcomes, dead, wait)


def _resolve_unavailable(conn: Connection, translated: TranslatedBatch) -> tuple[TranslatedBatch, dict[str, str]]:
    """Find the delegations of bodies that were left out.

    Also returns the batch's own large rows: activity row id → delegation id.
    """
    wanted = [each.translation.unavailable_row_id for each in translated.records if each.translation.unavailable_row_id]
    translated = resolve_unavailable(translated, delegations.read_large_rows(conn, wanted) if wanted else {})
    translations = (translation for _, translation in translated.records)
    return translated, {each.large_row_id: each.delegation_id for each in translations if each.large_row_id}


def _read_working_set(conn: Connection, translated: TranslatedBatch) -> tuple[WorkingSet, dict[str, str]]:
    """The rows that the batch touches, and their versions: delegation id → version."""
    ids = list({translation.delegation_id for _, translation in translated.records})
    requests = [translation.request for _, translation in translated.records if translation.request]
    stored = delegations.read_states(conn, ids) if ids else []
    versions = {each.state.delegation_id: each.version for each in stored}
    keys = list({(request.caller_id, request.idempotency_key) for request in requests if request.idempotency_key})
    working_set = WorkingSet(
        (each.state for each in stored),
        delegations.read_holders(conn, keys) if keys else {},
        delegations.read_parked(conn, [request.delegation_id for request in requests]) if requests else (),
    )
    return working_set, versions
