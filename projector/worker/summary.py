"""What a member has done since its last summary, in its log and in its metrics."""

import logging
import time
from collections import Counter

from projector.contract.facts import Status
from projector.domain.outcomes import Outcome
from projector.kafka.compaction import MissingRecords
from projector.projection.transaction import PendingBatch
from projector.worker.dead_letters import DeadLetterReasons
from projector.worker.meters import Meters

log = logging.getLogger(__name__)

_COUNTERS = ("ended", "fenced", "rebalances", "consumer_rebuilds", "retries")
"""Counters whose names a line of the log has too, without the prefix and without `_total`."""


class Summary:
    """Counts how records and delegations ended, and missing records. Logs how many were added since the last summary.

    `meters`: what else the line has.
    """

    def __init__(self, meters: Meters) -> None:
        self.dead_letters = DeadLetterReasons()
        self.outcomes: Counter[Outcome] = Counter()
        self.ended: Counter[Status] = Counter()
        self.missing = MissingRecords()
        self._meters = meters
        self._logged_missing = 0
        self._logged_at = time.monotonic()
        self._logged: Counter[Outcome] = Counter()
        self._logged_metrics: Counter[str] = Counter()

    def add(self, batch: PendingBatch) -> None:
        """Count what was written of a batch, which may be a part of it."""
        self.outcomes.update(batch.outcomes)
        self.ended.update(batch.ended)
        self.dead_letters.log(batch.dead_letters)

    @property
    def age_seconds(self) -> float:
        """Time since the last summary."""
        return time.monotonic() - self._logged_at

    def measure(self) -> None:
        """Set the counters to the counts."""
        for outcome in Outcome:
            self._meters.set("records_total", self.outcomes[outcome], str(outcome))
        for status, count in self.ended.items():
            self._meters.set("ended_total", count, str(status))

    def log(self, message: str) -> None:
        """Log the counts since the last call, and start again."""
        self.measure()
        counts = {str(outcome): self.outcomes[outcome] - self._logged[outcome] for outcome in Outcome}
        fields = {"seconds": round(self.age_seconds, 1), "records": sum(counts.values())}
        counts["missing"] = self.missing.count - self._logged_missing
        self._logged_at, self._logged = time.monotonic(), Counter(self.outcomes)
        self._logged_missing = self.missing.count
        reasons = self.dead_letters.take_counts()
        counted = {name: count for name, count in (counts | self._metrics()).items() if count}
        log.info(message, extra={**fields, **counted, **({"dead_letter_reasons": reasons} if reasons else {})})

    def _metrics(self) -> dict[str, int]:
        """The counters since the last call, and the lag of all partitions now."""
        before = self._logged_metrics
        self._logged_metrics = Counter({name: int(sum(self._meters.values(f"{name}_total"))) for name in _COUNTERS})
        lag_seconds = round(max(self._meters.values("lag_seconds"), default=0))
        lag = {"lag_records": int(sum(self._meters.values("lag_records"))), "lag_seconds": lag_seconds}
        return {name: self._logged_metrics[name] - before[name] for name in _COUNTERS} | lag
