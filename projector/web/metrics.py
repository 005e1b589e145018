"""The metrics of the dashboard: the view as a whole, which N members would report N times."""

import threading
import time
from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from projector.errors import ProjectorError
from projector.postgres import passes, views_gauges
from projector.postgres.passes import FinishedPass
from projector.postgres.views_gauges import Gauges
from projector.web.reader import Reader
from projector.worker.metrics import PREFIX

_CACHED_SECONDS = 15.0
_AGES = {
    "oldest_in_flight_seconds": "age of the oldest request that is in flight",
    "oldest_silent_seconds": "time since the last event of the most silent delegation in flight",
    "parked_oldest_seconds": "age of the oldest parked event, repeated requests aside",
    "push_oldest_due_seconds": "how long the oldest due reply waits",
}
_COUNTS = {
    "overdue": "delegations in flight after their deadline",
    "parked": "parked events, those of repeated requests aside",
    "parked_of_repeated_requests": "parked events of requests that repeated an idempotency key",
    "dead_letters": "dead letters",
    "push_due": "replies that are due",
    "push_given_up": "replies that were given up",
    "push_expired": "replies that have expired",
}


class ViewMetrics(Collector):
    """Reads Postgres at a scrape, at most once in 15 seconds. Without Postgres there are no numbers, not old ones."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._families: list[Metric] = []
        self._read_at = -_CACHED_SECONDS

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            if time.monotonic() - self._read_at >= _CACHED_SECONDS:
                self._families = list(self._read())
                self._read_at = time.monotonic()
            return self._families

    def describe(self) -> Iterable[Metric]:
        """Nothing: else the registry would read Postgres at the start."""
        return []

    def _read(self) -> Iterator[Metric]:
        try:
            with self._reader.connection() as conn:
                found, latest = views_gauges.gauges(conn), passes.latest(conn)
        except ProjectorError:
            return
        yield from _of_view(found)
        yield from _of_passes(latest)
        if topic := self._reader.topic.snapshot.value:
            gap = any(partition.gap or partition.lost_records for partition in topic.partitions)
            yield _gauge("log_gap", "1 if a position is before the log's beginning, or of another topic", float(gap))


def _of_view(found: Gauges) -> Iterator[Metric]:
    states = GaugeMetricFamily(f"{PREFIX}delegations", "delegations in flight", labels=["status"])
    for status in ("queued", "dispatched", "in_progress"):
        states.add_metric([status], getattr(found, status))
    yield states
    for name, text in _COUNTS.items():
        yield _gauge(name, text, getattr(found, name))
    for name, text in _AGES.items():
        yield _gauge(name, text, getattr(found, name) or 0.0)
    if found.dead_letters_newest_at:
        name, text = "dead_letters_newest_timestamp_seconds", "when the latest dead letter was written"
        yield _gauge(name, text, found.dead_letters_newest_at.timestamp())


def _of_passes(latest: dict[str, FinishedPass]) -> Iterator[Metric]:
    if verify := latest.get("verify"):
        yield _gauge("verify_drift", "rows that differed in the last comparison", verify.result.get("drift") or 0)
    if proved := latest.get("proved"):
        name, text = "verify_last_success_timestamp_seconds", "when the view was last proved equal"
        yield _gauge(name, text, proved.ended_at.timestamp())


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value=value)
