"""Parked events that are discarded, one transaction per chunk."""

from projector.postgres import parked
from projector.postgres.connection import Connection, transaction
from projector.postgres.parked import ParkedFilter
from projector.settings import BatchLimits


def discard(conn: Connection, wanted: ParkedFilter, limits: BatchLimits) -> int:
    """Delete parked events permanently. Returns how many there were. Raises DatabaseUnavailable."""
    count = last = 0
    while True:
        with transaction(conn):
            seqs = parked.discard(conn, wanted, after_seq=last, max_events=limits.batch_records)
        if not seqs:
            return count
        count, last = count + len(seqs), seqs[-1]
