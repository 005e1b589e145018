"""Records that Postgres does not write in time: their partitions wait, and the others of the member continue."""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from projector.domain.positions import Polled
from projector.errors import RecordTooSlow
from projector.process.backoff import Backoff
from projector.projection.limits import AdaptiveLimits

log = logging.getLogger(__name__)

_MOST_SECONDS = 60.0


class _Slow(NamedTuple):
    error: RecordTooSlow
    retry: Backoff
    limits: AdaptiveLimits


class SlowRecords:
    """The first record of a partition that is too slow, per partition."""

    def __init__(self) -> None:
        self._found: dict[int, _Slow] = {}

    def add(self, error: RecordTooSlow, limits: AdaptiveLimits) -> float:
        """Note a record that was too slow, perhaps again. Returns the seconds until its next try."""
        known = self._found.get(error.partition)
        retry = known.retry if known and known.error.offset == error.offset else Backoff(most_seconds=_MOST_SECONDS)
        self._found[error.partition] = _Slow(error, retry, limits.of_one())
        seconds = retry.failed()
        fields = {"topic": error.topic, "partition": error.partition, "offset": error.offset, "reason": str(error)}
        log.warning("a record is too slow, its partition waits", extra={**fields, "next_try_seconds": round(seconds)})
        return seconds

    def apart(self, polled: Sequence[Polled], limits: AdaptiveLimits) -> Iterator[tuple[list[Polled], AdaptiveLimits]]:
        """What was polled, with the limits of its batches. A partition with a slow record comes last, by itself."""
        found = dict(self._found)  # a record may be passed while the batches before it are written
        yield [part for part in polled if part.partition not in found], limits
        for part in polled:
            if slow := found.get(part.partition):
                yield [part], slow.limits

    def note_positions(self, positions: Mapping[int, int]) -> None:
        """Forget the records that these positions (partition → next offset) have passed, of whichever member."""
        for partition, offset in positions.items():
            slow = self._found.get(partition)
            if slow and offset > slow.error.offset:
                del self._found[partition]
                fields = {"partition": partition, "offset": slow.error.offset}
                log.info("the slow record is passed, its partition continues", extra=fields)

    def sentences(self, partitions: Collection[int]) -> list[str]:
        """One sentence per slow record in these partitions."""
        return [str(slow.error) for partition, slow in sorted(self._found.items()) if partition in partitions]
