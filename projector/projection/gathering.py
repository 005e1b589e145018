"""Batches that grow: what several polls returned, translated at once, for one transaction."""

import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from projector.domain.fold import Entry, translate_each
from projector.domain.merge import Merged
from projector.domain.positions import Move
from projector.projection.batch import cut
from projector.projection.limits import AdaptiveLimits


class Batch(NamedTuple):
    """Translated records for one transaction, in the order of each partition, and the moves of the positions."""

    entries: list[Entry]
    moves: list[Move]
    limits: AdaptiveLimits


class Gathering:
    """The batch that records are gathered in. Of most records, nothing but the coordinates is kept."""

    def __init__(self) -> None:
        self._limits = AdaptiveLimits()
        self._began_at = 0.0
        self._begin()

    def _begin(self) -> None:
        self._entries: list[Entry] = []
        self._moves: dict[int, Move] = {}
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._moves)

    @property
    def age_seconds(self) -> float:
        """Time since the first record was added; of an empty batch it means nothing."""
        return time.monotonic() - self._began_at

    def add(self, merged: Merged, limits: AdaptiveLimits) -> Iterator[Batch]:
        """Add records, and yield each batch that is full. Batches with other limits are apart."""
        if limits is not self._limits:
            yield from self.take()
            self._limits = limits
        self._began_at = self._began_at if self else time.monotonic()
        is_first = True
        for chunk in cut(merged, limits, records=len(self._entries), size=self._bytes):
            if not is_first:
                yield from self.take()
                self._began_at = time.monotonic()
            is_first = False
            self._entries += translate_each(chunk.records)
            self._bytes += chunk.size
            for move in chunk.moves:
                before = self._moves.get(move.partition, move)
                record_at = move.record_at or before.record_at
                self._moves[move.partition] = move._replace(start=before.start, record_at=record_at)

    def take(self) -> Iterator[Batch]:
        """Yield what was gathered, if there is something, and begin the next batch."""
        if self:
            batch = Batch(self._entries, [move for _, move in sorted(self._moves.items())], self._limits)
            self._begin()
            yield batch

    def drop_unread(self, positions: Mapping[int, int]) -> None:
        """Drop the partitions that are not read from where their gathered records end: they are read again.

        `positions`: partition → the offset from which it is read next.
        """
        dropped = {each for each, move in self._moves.items() if positions.get(each) != move.next_offset}
        if dropped:
            self._entries = [entry for entry in self._entries if entry.record.partition not in dropped]
            self._moves = {each: move for each, move in self._moves.items() if each not in dropped}
