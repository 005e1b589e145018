"""The batches of a member: they grow with the backlog, and are small at the end of the log."""

from collections.abc import Iterator, Sequence

from projector.domain.positions import Polled
from projector.errors import BrokerUnavailable
from projector.kafka.consumer import GroupConsumer
from projector.projection.batch import by_partition
from projector.projection.gathering import Batch, Gathering
from projector.projection.limits import AdaptiveLimits
from projector.settings import BatchLimits
from projector.worker.slow_records import SlowRecords

_BACKLOG_RECORDS = 500
"""A batch waits only if at least this number of records follows. An open transaction may hold back fewer than that."""
_MOST_SECONDS = 1.0
"""The longest time for which a batch waits for further records."""


class Batches:
    """Gathers what was polled, of one poll or several. `limits` are those of every batch without a slow record."""

    def __init__(self, consumer: GroupConsumer, limits: BatchLimits) -> None:
        self.limits = AdaptiveLimits(limits)
        self.slow_records = SlowRecords()
        self._consumer = consumer
        self._gathering = Gathering()
        self._error: BrokerUnavailable | None = None

    @property
    def is_growing(self) -> bool:
        """Whether records wait for those of the next poll, which follow at once."""
        return bool(self._gathering)

    def poll(self, *, wait: bool) -> list[Polled]:
        """Everything that has arrived. It waits for that while a batch grows, too.

        If that fails while a batch grows, it returns nothing, so that the batch is written. The next call raises the
        error. Otherwise a poll that fails after each first one would keep everything from being written.
        """
        error, self._error = self._error, None
        if error is not None:
            raise error
        try:
            return self._consumer.poll(wait=wait or self.is_growing)
        except BrokerUnavailable as failed:
            if not self.is_growing:
                raise
            self._error = failed
            return []

    def drop(self) -> None:
        """Drop what was gathered."""
        self._gathering = Gathering()

    def closed(self) -> None:
        """Drop all that comes from this consumer."""
        self.drop()
        self._error = None

    def add(self, polled: Sequence[Polled]) -> Iterator[Batch]:
        """Gather what was polled, and yield the batches that are due. Without a backlog, these have all records."""
        starts = {part.partition: part.start for part in reversed(polled)}
        self._gathering.drop_unread({**self._consumer.active, **starts})
        for parts, limits in self.slow_records.apart(polled, self.limits):
            yield from self._gathering.add(by_partition(parts), limits)
        if not self._has_backlog(polled) or self._gathering.age_seconds > _MOST_SECONDS:
            yield from self._gathering.take()

    def _has_backlog(self, polled: Sequence[Polled]) -> bool:
        """Whether many records follow in the polled partitions, as far as their last fetch has told."""
        ends = self._consumer.high_watermarks
        return sum(max(0, ends.get(part.partition, 0) - part.next_offset) for part in polled) >= _BACKLOG_RECORDS
