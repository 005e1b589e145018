"""What Postgres holds of one delegation: its row, its parked events, its dead letters, its repeated request."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from projector.domain.fold import RepeatedRequest
from projector.domain.lifecycle import Delegation
from projector.domain.positions import Position
from projector.explain.dead_letters import place_of_record
from projector.explain.findings import Repeated
from projector.explain.search import Match, Search, spellings
from projector.postgres import connection, delegations, erasing, positions, queries
from projector.postgres.connection import Connection, mapped_errors
from projector.postgres.dead_letters import Coordinates
from projector.postgres.parked import ParkedFilter
from projector.postgres.queries import DeadLetterDetail, ParkedEvent

LIMIT = 100
"""The most parked events, and the most dead letters, in a report."""


class StoredFacts(NamedTuple):
    """What Postgres holds of the delegation, read in one snapshot."""

    row: Delegation | None
    positions: dict[int, int]
    """Partition of the topic → the next offset to project."""
    parked: list[ParkedEvent]
    parked_count: int
    large_rows: dict[str, str]
    """Activity row id → delegation id."""
    repeated: RepeatedRequest | None
    known: dict[int, Position]
    """The positions with the id of the topic that they belong to."""
    pruned_at: datetime | None
    is_erased: bool

    @property
    def is_known(self) -> bool:
        """Whether there is anything of the delegation but dead letters."""
        return any((self.row, self.parked_count, self.large_rows, self.repeated, self.pruned_at))


def read_stored_facts(conn: Connection, topic: str, delegation_id: str) -> StoredFacts:
    """Read the facts in one snapshot."""
    with connection.snapshot(conn):
        rows = delegations.read_delegations(conn, [delegation_id])
        known = positions.read(conn, topic)
        return StoredFacts(
            rows[0] if rows else None,
            {partition: position.offset for partition, position in known.items()},
            queries.parked(conn, delegation_id=delegation_id, limit=LIMIT),
            queries.parked_summary(conn, ParkedFilter([delegation_id])).events,
            delegations.read_large_rows_of(conn, delegation_id),
            delegations.read_repeated_requests(conn, [delegation_id]).get(delegation_id),
            known,
            delegations.read_pruned_at(conn, delegation_id),
            erasing.is_erased(conn, delegation_id),
        )


def read_letters(conn: Connection, search: Search, matches: Iterable[Match]) -> list[DeadLetterDetail]:
    """The stored dead letters of these records, and others whose values contain the id."""
    places = {place_of_record(record) for record, _ in matches}
    ids = [search.delegation_id, *sorted(search.row_ids)]
    letters = queries.mentions(
        conn, [spelling for each in ids for spelling in spellings(each)], sorted(places), limit=LIMIT
    )
    # The query finds the bytes anywhere; the search compares whole words.
    return [
        letter
        for letter in letters
        if (letter.topic, letter.partition, letter.offset) in places or search.is_mentioned(letter.value)
    ]


def find_repeated(conn: Connection, search: Search, holder_id: str | None, facts: StoredFacts) -> Repeated | None:
    """The repeated request of the delegation, as the projector remembers it, or as the records show it."""
    stored, request = facts.repeated, next(iter(search.requests()), None)
    if holder_id is None and stored is None:
        return None
    holder_id = stored.holder_id if stored else holder_id or ""
    place = Coordinates(stored.topic, stored.partition, stored.offset) if stored else None
    if request is not None and (asked := request.translation.request):
        return Repeated(holder_id, place or place_of_record(request.record), asked.caller_id, asked.idempotency_key)
    with mapped_errors():
        holders = delegations.read_delegations(conn, [holder_id])
    return Repeated(holder_id, place, *((holders[0].caller_id, holders[0].idempotency_key) if holders else ()))
