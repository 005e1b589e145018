"""One batch of replies: claimed, sent and marked in one transaction."""

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from projector.contract.facts import IN_FLIGHT
from projector.domain.reply import MOST_ATTEMPTS, Reply, State, delay, reply_to
from projector.postgres import outbox
from projector.postgres.connection import Connection, transaction
from projector.postgres.outbox import Claimed, Mark
from projector.postgres.outbox_inbox import Sent

BATCH_REPLIES = 100


class Target(Protocol):
    """Where replies are sent. `name` is that of the setting."""

    name: str

    def deliver(self, replies: Sequence[Reply], until: float) -> Iterator[Sent]:
        """Send the replies. The results are in their order, and stop with the first one that was not tried."""

    def close(self) -> None:
        """Close its connections."""


class Batch(NamedTuple):
    """What a batch claimed, and how the replies that were tried ended. `states` has the replies that are DUE again."""

    claimed: int
    marks: Sequence[Mark]

    @property
    def states(self) -> Counter[State]:
        """State → replies."""
        return Counter(mark.state for mark in self.marks)

    @property
    def is_last(self) -> bool:
        """Whether nothing more is due: it was no full batch, and each reply was tried."""
        return self.claimed < BATCH_REPLIES and self.claimed == len(self.marks)


class Unconfirmed(Exception):
    """The session was lost while the batch was committed: it may be committed, or not."""

    def __init__(self, batch: Batch) -> None:
        super().__init__()
        self.batch = batch


def send_batch(conn: Connection, target: Target, *, until: datetime, max_age: timedelta, seconds: float) -> Batch:
    """Send what was due at `until`, at most 100 replies, for about `seconds`.

    Raises Unavailable; then nothing is marked. Raises Unconfirmed, from DatabaseUnavailable, if that is not known.
    """
    batch = None
    try:
        with transaction(conn):
            claimed = outbox.claim(conn, until=until, limit=BATCH_REPLIES, max_age=max_age)
            marks = list(_marks(conn, target, claimed, time.monotonic() + seconds))
            if marks:
                outbox.mark(conn, marks)
            batch = Batch(len(claimed), marks)
    except Exception as error:
        if batch is not None:
            raise Unconfirmed(batch) from error
        raise
    return batch


def _marks(conn: Connection, target: Target, claimed: Sequence[Claimed], until: float) -> Iterator[Mark]:
    """How each claimed reply ends. Those that were not tried are left out."""
    ready: list[tuple[Claimed, Reply]] = []
    ends = outbox.ends(conn, [each.delegation_id for each in claimed]) if claimed else {}
    for each in claimed:
        if each.is_expired:
            yield Mark(each.delegation_id, State.EXPIRED)
        elif each.row is None:
            yield _again(each, "the view has no row of this delegation")
        elif each.row.status in IN_FLIGHT:
            yield _again(each, f"the view shows the delegation as {each.row.status}")
        else:
            ready.append((each, reply_to(each.row, ends.get(each.delegation_id, []))))
    results = target.deliver([reply for _, reply in ready], until) if ready else iter(())
    for (each, _), sent in zip(ready, results, strict=False):
        if sent.state is State.DUE:
            yield _again(each, sent.error or "")
        else:
            yield Mark(each.delegation_id, sent.state, sent.error, target.name)


def _again(claimed: Claimed, reason: str) -> Mark:
    """The mark of a try that failed: it is tried again later, or given up after the last try."""
    attempts = claimed.attempts + 1
    if attempts >= MOST_ATTEMPTS:
        return Mark(claimed.delegation_id, State.GIVEN_UP, f"given up after {attempts} tries: {reason}")
    return Mark(claimed.delegation_id, State.DUE, reason, delay=delay(attempts, random.random()))
