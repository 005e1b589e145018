"""The limits of batches, which have fewer records while Postgres is slow."""

import logging
from typing import Protocol

from projector.settings import BatchLimits

log = logging.getLogger(__name__)

_FIRST_WAIT = 10
_LONGEST_WAIT = 320


class Limits(Protocol):
    """The most that a batch has. They may change between two batches."""

    @property
    def batch_records(self) -> int: ...

    @property
    def batch_bytes(self) -> int: ...


class AdaptiveLimits:
    """The configured limits, and fewer records after a batch that was too slow.

    After ten full batches that were written, a batch may have twice the records. If that is too slow again, twenty full
    batches are needed for the next try, and so on: a database that stays slow costs few timeouts.
    """

    def __init__(self, configured: BatchLimits | None = None) -> None:
        configured = configured or BatchLimits()
        self.batch_records = self._most_records = configured.batch_records
        self.batch_bytes = configured.batch_bytes
        self._full_batches = 0
        self._wait = _FIRST_WAIT
        self._has_grown = False

    def of_one(self) -> "AdaptiveLimits":
        """The same limits, with one record for the first batch."""
        limits = AdaptiveLimits(BatchLimits(batch_records=self._most_records, batch_bytes=self.batch_bytes))
        limits.batch_records = 1
        return limits

    def too_slow(self, records: int, reason: str) -> None:
        """A batch of `records` was too slow: the next ones have at most half of them."""
        fewer = max(1, records // 2)
        if fewer >= self.batch_records:
            return
        self.batch_records = fewer
        self._full_batches = 0
        if self._has_grown:
            self._wait = min(2 * self._wait, _LONGEST_WAIT)
        log.warning("batches are too slow, they have fewer records now", extra={"records": fewer, "reason": reason})

    def written(self, records: int) -> None:
        """A batch of `records` was written in time."""
        if self.batch_records == self._most_records or records < self.batch_records:
            return
        self._full_batches += 1
        if self._full_batches < self._wait:
            return
        self.batch_records = min(2 * self.batch_records, self._most_records)
        self._full_batches, self._has_grown = 0, True
        if self.batch_records == self._most_records:
            self._wait, self._has_grown = _FIRST_WAIT, False
            log.info("batches have as many records as configured again", extra={"records": self._most_records})
