"""The metrics of the dashboard: the view as a whole, which N members would report N times."""

import threading
import time
from collections.abc import Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from projector.errors import ProjectorError
from projector.postgres import passes, views_gauges
from projector.postgres.passes import FinishedPass
from projector.postgres.views_gauges import Gauges
from projector.web.reader import Reader, TopicView
from projector.worker.exposition import families
from projector.worker.meters import Numbers
from projector.worker.metrics import METRICS

_CACHED_SECONDS = 15.0


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
                self._families = list(families(self._read()))
                self._read_at = time.monotonic()
            return self._families

    def describe(self) -> Iterable[Metric]:
        """Nothing: else the registry would read Postgres at the start."""
        return []

    def _read(self) -> Numbers:
        topic, name = self._reader.topic.snapshot.value, self._reader.settings.topic
        beginnings = {} if topic is None else _beginnings(topic)
        try:
            with self._reader.connection() as conn:
                found, latest = views_gauges.gauges(conn), passes.latest(conn)
                progress = views_gauges.rebuild_progress(conn, name, beginnings)
        except ProjectorError:
            return {}
        numbers = _of_view(found) | _of_passes(latest)
        if progress is not None:
            numbers["rebuild_progress_ratio", ()] = [progress]
        if topic is not None:
            numbers["log_gap", ()] = [float(any(partition.is_at_gap for partition in topic.partitions))]
        return numbers


def _beginnings(topic: TopicView) -> dict[int, int]:
    """Partition → its first offset, where Kafka has answered."""
    return {each.partition: each.beginning for each in topic.partitions if each.beginning is not None}


def _of_view(found: Gauges) -> Numbers:
    numbers: Numbers = {}
    for field, value in found._asdict().items():
        if field in METRICS and value is not None:
            numbers[field, ()] = [float(value)]
    for status in METRICS["delegations"].label_values:
        numbers["delegations", (status,)] = [float(getattr(found, status))]
    return numbers


def _of_passes(latest: dict[str, FinishedPass]) -> Numbers:
    numbers: Numbers = {}
    if verify := latest.get("verify"):
        numbers["verify_drift", ()] = [float(verify.result.get("drift") or 0)]
    if proved := latest.get("proved"):
        numbers["verify_last_success_timestamp_seconds", ()] = [proved.ended_at.timestamp()]
    return numbers
