"""What a member measures: its batches, its partitions, and how far they are behind the log."""

import time

from projector.kafka.consumer import GroupConsumer
from projector.projection.transaction import PendingBatch
from projector.worker.meters import Meters
from projector.worker.metrics import Part
from projector.worker.partitions import Partitions


class Measures:
    """Writes the metrics of one member."""

    def __init__(self, meters: Meters, consumer: GroupConsumer, partitions: Partitions) -> None:
        meters.begin(Part.RUN)
        self._meters = meters
        self._consumer = consumer
        self._partitions = partitions
        self._waits_since: dict[int, float] = {}
        """Partition → the time at which nothing older waited."""
        self._generation = 0

    def wrote(self, batch: PendingBatch) -> None:
        """A batch was committed."""
        now = time.time()
        self._meters.observe("batch_seconds", batch.seconds)
        self._meters.observe("batch_records", len(batch.entries))
        self._meters.set("last_commit_timestamp_seconds", now)
        for move in batch.moves:
            if move.record_at is not None:
                self._meters.observe("end_to_end_seconds", max(0.0, now - move.record_at.timestamp()))

    def look(self) -> None:
        """Once per second: the group's generation, and where each partition is."""
        self._count_generations()
        now, ends, written = time.time(), self._consumer.high_watermarks, self._partitions.written
        labels: dict[int, tuple[str, ...]] = {number: (self._consumer.topic, str(number)) for number in written}
        lags = {number: max(0, ends[number] - offset) for number, offset in written.items() if number in ends}
        newest = self._newest(now)
        since = {number: max(self._waits_since.get(number, 0.0), newest.get(number, 0.0)) or now for number in written}
        self._waits_since = {number: now if lags.get(number) == 0 else min(now, at) for number, at in since.items()}
        waits = {labels[number]: now - self._waits_since[number] if lag else 0.0 for number, lag in lags.items()}
        self._meters.replace("position", {labels[number]: offset for number, offset in written.items()})
        self._meters.replace("lag_records", {labels[number]: lag for number, lag in lags.items()})
        self._meters.replace("lag_seconds", waits)
        self._meters.replace("log_idle_seconds", {(): now - max(newest.values())} if newest else {})

    def forget_partitions(self) -> None:
        """Kafka or Postgres is unavailable: no number is better than one of before."""
        for name in ("position", "lag_records", "lag_seconds", "log_idle_seconds"):
            self._meters.replace(name, {})

    def _newest(self, now: float) -> dict[int, float]:
        """Partition → the timestamp of its last projected record. Some have none. A clock may be ahead of ours."""
        found = self._partitions.record_at
        return {number: min(now, at.timestamp()) for number in self._partitions.written if (at := found.get(number))}

    def _count_generations(self) -> None:
        generation = self._consumer.generation or 0
        if generation > 0 and generation != self._generation:
            self._generation = generation
            self._meters.add("rebalances_total")
