"""What a member measures: its batches, its partitions, and how its records end."""

import time
from collections.abc import Mapping

from projector.domain.outcomes import Outcome
from projector.kafka.consumer import GroupConsumer
from projector.projection.transaction import Outcomes, PendingBatch
from projector.worker.metrics import Meters


class Measures:
    """Writes the metrics of one member."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        self.count = meters.add
        self._record_at: dict[int, float] = {}

    def wrote(self, batch: PendingBatch) -> None:
        """A batch was committed."""
        now = time.time()
        self._meters.observe("batch_seconds", batch.seconds)
        self._meters.observe("batch_records", len(batch.entries))
        self._meters.set("last_commit_timestamp_seconds", now)
        for move in batch.moves:
            if move.record_at is not None:
                self._record_at[move.partition] = move.record_at.timestamp()
                self._meters.observe("end_to_end_seconds", max(0.0, now - self._record_at[move.partition]))

    def look(self, consumer: GroupConsumer, written: Mapping[int, int], outcomes: Outcomes) -> None:
        """Once per second: where each partition is, and how many records ended how."""
        now, ends = time.time(), consumer.high_watermarks
        lags = {number: max(0, ends[number] - offset) for number, offset in written.items() if number in ends}
        ages = {number: now - self._record_at[number] for number in written if number in self._record_at}
        labels = {number: (consumer.topic, str(number)) for number in written}
        self._meters.replace("position", {labels[number]: offset for number, offset in written.items()})
        self._meters.replace("lag_records", {labels[number]: lag for number, lag in lags.items()})
        self._meters.replace(
            "lag_seconds",
            {labels[number]: max(0.0, ages.get(number, 0.0)) if lag else 0.0 for number, lag in lags.items()},
        )
        self._meters.replace("log_idle_seconds", {(): max(0.0, min(ages.values()))} if ages else {})
        for outcome in Outcome:
            self._meters.set("records_total", outcomes[outcome], str(outcome))
