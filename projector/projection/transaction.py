"""One batch, one transaction: rows, parked events, dead letters and positions are written together or not at all."""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from projector.contract.envelope import Record
from projector.contract.facts import Status
from projector.contract.fields import recorded_at
from projector.domain.fold import DeadLetter, Entry, Passed, TranslatedBatch, by_kind, translate_each
from projector.domain.outcomes import Outcome
from projector.domain.positions import Fence, Move
from projector.errors import BatchUnfinished, RecordTooSlow, StatementTimeout, Unwritable, WriteConflict
from projector.postgres.connection import Connection
from projector.postgres.dead_letters import LetterKey
from projector.projection.limits import AdaptiveLimits
from projector.projection.sending import PendingWrite, send_batch
from projector.texts import counted

_TRIES = 10

Outcomes = Counter[Outcome]

T = TypeVar("T")


def project(
    conn: Connection,
    records: Sequence[Record],
    fence: Fence | None = None,
    *,
    limits: AdaptiveLimits | None = None,
    push: bool = False,
) -> Outcomes:
    """Project a batch and move the fence's positions. Returns how the records ended; the counts add up to them.

    Without a fence (a replay, a retried dead letter) no position moves. A batch that is too slow is halved, and
    `limits` then allow fewer records. Raises Fenced if another process owns a position now, RecordTooSlow if a single
    record is too slow, DatabaseUnavailable if Postgres is unavailable, or if other writers change the rows too often.
    What was not written before that is not written at all. `push`: as in `send_batch`.
    """
    return PendingBatch(conn, translate_each(records), fence, limits=limits, push=push).wait()


class PendingBatch:
    """A batch that Postgres writes and commits by itself, while the next one is polled and translated.

    The connection must not be used until `wait` has returned. The constructor may raise DatabaseUnavailable.
    `outcomes`, `ended`, `rows` and `dead_letters` are those of records that are written: none before `wait`, and
    perhaps some if it raises.

    After the time `until`, of a monotonic clock, nothing is halved or repeated: `wait` then raises BatchUnfinished.
    """

    def __init__(
        self,
        conn: Connection,
        entries: Sequence[Entry],
        fence: Fence | None = None,
        *,
        limits: AdaptiveLimits | None = None,
        until: float = math.inf,
        push: bool = False,
    ) -> None:
        self.entries = entries
        self.limits = limits or AdaptiveLimits()
        self.moves = fence.moves if fence else ()
        self.outcomes: Outcomes = Counter()
        self.ended: Counter[Status] = Counter()
        self.rows = 0
        self.dead_letters: list[DeadLetter] = []
        self._conn = conn
        self._translated = by_kind(entries)
        self._fence = fence
        self._began_at = time.monotonic()
        self._until = until
        self._push = push
        self._slow_read: str | None = None
        self._write: PendingWrite | None = None
        try:
            self._write = self._send()
        except StatementTimeout as error:
            self._slow_read = str(error)  # `wait` halves the batch
        except (Unwritable, WriteConflict):  # `wait` tries again and handles it
            pass

    @property
    def seconds(self) -> float:
        """Time since the batch was sent."""
        return time.monotonic() - self._began_at

    def wait(self) -> Outcomes:
        """Wait until the batch is written, and repeat or split it if needed. Returns and raises as `project`."""
        try:
            with_retries(self._attempt, self._until)
        except Unwritable as error:
            self._split(error)
        except WriteConflict:
            if len(self.entries) < 2:
                raise
            self._halve("other writers change its rows")  # fewer rows mean fewer other writers of the same rows
        except StatementTimeout as error:
            if len(self.entries) < 2:
                raise of_one([entry.record for entry in self.entries], error) from error
            self.limits.too_slow(len(self.entries), str(error))
            self._halve(str(error))
        else:
            self.limits.written(len(self.entries))
        return self.outcomes

    def _send(self) -> PendingWrite:
        return send_batch(self._conn, self._translated, self._fence, push=self._push)

    def _attempt(self) -> None:
        slow_read, self._slow_read = self._slow_read, None
        if slow_read is not None:
            raise StatementTimeout(slow_read)
        write, self._write = self._write or self._send(), None
        write.wait()
        self.outcomes += write.outcomes
        self.ended += write.ended
        self.rows += write.rows
        self.dead_letters += write.dead_letters

    def _split(self, error: Unwritable) -> None:
        """Halve the batch until the record that Postgres refuses is alone. Keep that one as a dead letter."""
        if len(self.entries) > 1:
            self._halve(str(error))
            return
        records = [entry.record for entry in self.entries if not isinstance(entry, Passed)]
        if not records:
            raise error
        self._translated = refused(records, str(error))
        with_retries(self._attempt, self._until)

    def _halve(self, reason: str) -> None:
        """Write the first half, and the rest in parts as large as the limits allow by then."""
        rest, fence, size = self.entries, self._fence, len(self.entries) // 2
        while rest:
            if time.monotonic() > self._until:
                self.limits.too_slow(len(self.entries), reason)
                raise BatchUnfinished(f"a batch of {len(self.entries)} records needs more time: {reason}")
            head, rest = rest[:size], rest[size:]
            first, fence = _split_fence(fence, head) if fence and rest else (fence, None)
            self._write_part(head, first)
            size = self.limits.batch_records

    def _write_part(self, entries: Sequence[Entry], fence: Fence | None) -> None:
        part = PendingBatch(self._conn, entries, fence, limits=self.limits, until=self._until, push=self._push)
        try:
            part.wait()
        finally:
            self.outcomes += part.outcomes
            self.ended += part.ended
            self.rows += part.rows
            self.dead_letters += part.dead_letters


def with_retries(attempt: Callable[[], T], until: float = math.inf) -> T:
    """Write, and again if another writer changed a row in between: at most ten times, and not after `until`."""
    tries = 0
    while True:
        tries += 1
        try:
            return attempt()
        except WriteConflict as error:
            if tries == _TRIES or time.monotonic() > until:
                raise WriteConflict(f"gave up after {counted(tries, 'try', 'tries')}: {error}") from error


def of_one(places: Sequence[Record | Passed | LetterKey], error: StatementTimeout) -> StatementTimeout:
    """The error for a batch that cannot be halved. It has one record, or it only moves positions."""
    return next((RecordTooSlow(each.topic, each.partition, each.offset, str(error)) for each in places), error)


def _split_fence(fence: Fence, head: Sequence[Entry]) -> tuple[Fence, Fence]:
    """The fence for `head`, and the fence for the records after it."""
    reached = {(entry.record.topic, entry.record.partition): entry.record for entry in head}
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


def refused(records: Sequence[Record], reason: str) -> TranslatedBatch:
    """A batch of dead letters."""
    return TranslatedBatch([], [DeadLetter(record, reason, None) for record in records], Counter())
