"""A batch is sent: the rows that it touches are read without locks, it is folded, and what changes is sent."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from projector.contract.facts import Status
from projector.domain.ends import Ends
from projector.domain.fold import DeadLetter, TranslatedBatch, WorkingSet, resolve_unavailable
from projector.domain.outcomes import Outcome
from projector.domain.positions import Fence
from projector.postgres import delegations
from projector.postgres.connection import Connection, mapped_errors
from projector.postgres.write_batch import write

_MOST_PARKED = 50_000
"""The most parked events that the requests of one batch apply, to bound its memory. One delegation may have more."""


class PendingWrite(NamedTuple):
    """A batch that was sent: how its records end if it is written, and a function that waits for that.

    `ended`: status → the delegations that it ends. `rows`: how many rows of the view are written.
    """

    outcomes: Counter[Outcome]
    ended: Counter[Status]
    rows: int
    dead_letters: Sequence[DeadLetter]
    wait: Callable[[], None]


def send_batch(
    conn: Connection, translated: TranslatedBatch, fence: Fence | None, *, push: bool = False
) -> PendingWrite:
    """Read the rows that the batch touches, without locks. Fold it. Send what changes.

    With `push` it also writes the ends that it reads, and queues their replies: the connection is prepared for that.
    """
    with mapped_errors():
        translated, large_rows = _resolve_unavailable(conn, translated)
        working_set, versions = _read_working_set(conn, translated)
    outcomes = Counter(translated.outcomes)
    ends = Ends(working_set)
    apply = ends.apply if push else working_set.apply
    for record, translation in translated.records:
        outcomes[apply(record, translation)] += 1
    dead = translated.dead_letters
    if dead:
        outcomes[Outcome.DEAD_LETTER] += len(dead)
    changes = working_set.changes()
    wait = write(conn, changes, versions, dead_letters=dead, large_rows=large_rows, fence=fence, ends=ends.found)
    rows = len(changes.inserted) + len(changes.updated)
    return PendingWrite(outcomes, working_set.ended(changes), rows, dead, wait)


def _resolve_unavailable(conn: Connection, translated: TranslatedBatch) -> tuple[TranslatedBatch, dict[str, str]]:
    """Find the delegations of bodies that were left out.

    Also returns the batch's own large rows: activity row id → delegation id.
    """
    wanted = [each.unavailable_row_id for _, each in translated.records if each.unavailable_row_id]
    if wanted:
        translated = resolve_unavailable(translated, delegations.read_large_rows(conn, wanted))
    translations = (translation for _, translation in translated.records)
    return translated, {each.large_row_id: each.delegation_id for each in translations if each.large_row_id}


def _read_working_set(conn: Connection, translated: TranslatedBatch) -> tuple[WorkingSet, dict[str, str]]:
    """The rows that the batch touches, and their versions: delegation id → version."""
    ids = list({translation.delegation_id for _, translation in translated.records})
    requests = [translation.request for _, translation in translated.records if translation.request]
    stored, pruned = delegations.read_states_and_pruned(conn, ids) if ids else ([], [])
    versions = {each.state.delegation_id: each.version for each in stored}
    keys = list({(request.caller_id, request.idempotency_key) for request in requests if request.idempotency_key})
    requested = list({request.delegation_id for request in requests})
    most = _MOST_PARKED if len(requested) > 1 else None
    working_set = WorkingSet(
        (each.state for each in stored),
        delegations.read_holders(conn, keys) if keys else {},
        delegations.read_parked(conn, requested, most=most) if requested else (),
        pruned,
    )
    return working_set, versions
