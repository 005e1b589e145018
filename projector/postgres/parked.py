"""Parked events that are deleted by hand. No function here commits."""

from datetime import datetime
from typing import NamedTuple

from projector.postgres.connection import Connection
from projector.postgres.write_batch import exclude_requests


class ParkedFilter(NamedTuple):
    """Which parked events are selected. None means any."""

    delegation_ids: list[str] | None = None
    before: datetime | None = None
    """Parked before this time."""
    is_repeated: bool | None = None
    """True: the request of the delegation repeated an idempotency key, so the event is never applied."""
    last_seq: int | None = None
    """Up to this one, in the order of parking."""


ANY_PARKED = ParkedFilter()


def discard(conn: Connection, wanted: ParkedFilter, *, after_seq: int, max_events: int) -> list[int]:
    """Delete the next selected events permanently, in the order of parking. Returns their `seq`.

    Requests wait until the transaction ends, so that no event is deleted while its request applies it.
    """
    exclude_requests(conn)
    conn.execute("SELECT set_config('projector.reads_verdicts', 'on', true)")
    rows = conn.execute(
        """
        SELECT p.seq FROM parked p
         WHERE p.seq > %(after_seq)s
           AND (%(last_seq)s::bigint IS NULL OR p.seq <= %(last_seq)s)
           AND (%(delegation_ids)s::text[] IS NULL OR p.delegation_id = ANY (%(delegation_ids)s))
           AND (%(before)s::timestamptz IS NULL OR p.parked_at < %(before)s)
           AND (%(is_repeated)s::boolean IS NULL
                OR %(is_repeated)s = EXISTS (SELECT FROM repeated_requests r WHERE r.delegation_id = p.delegation_id))
         ORDER BY p.seq LIMIT %(max_events)s
        """,
        {**wanted._asdict(), "after_seq": after_seq, "max_events": max_events},
    ).fetchall()
    seqs = [seq for (seq,) in rows]
    conn.execute("DELETE FROM parked WHERE seq = ANY (%(seqs)s)", {"seqs": seqs})
    return seqs
