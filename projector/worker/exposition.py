"""What `/metrics` shows: the numbers of the reports, as Prometheus' client renders them."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from projector.worker.health import Report
from projector.worker.meters import Numbers, merged
from projector.worker.metrics import METRICS, PREFIX, Kind, Metric, State

Reports = Callable[[], Mapping[str, Report | None]]
"""Returns the latest report of each process; None for one that has written none yet."""


class ReportedMetrics(Collector):
    """Reads the reports at each scrape. Of an old report no gauge is shown: no number beats a wrong one.

    What a process has counted stays while this process lives, so that a counter never goes down.
    """

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self._latest: dict[str, Report | None] = {}
        self._lock = threading.Lock()

    def collect(self) -> Iterable[Family]:
        with self._lock:
            return list(families(self._numbers()))

    def _numbers(self) -> Numbers:
        now = time.time()
        for name, report in self._reports().items():
            self._latest[name] = report or self._latest.get(name)
        found = {name: report for name, report in self._latest.items() if report is not None}
        fresh = {name for name, report in found.items() if report.is_fresh(now)}
        numbers = merged(
            (report.metrics for name, report in found.items() if name in fresh),
            (report.metrics for name, report in found.items() if name not in fresh),
        )
        for name, latest in self._latest.items():
            is_healthy = name in fresh and latest is not None and latest.healthy
            state = latest.kind if latest is not None and name in fresh else State.HUNG
            numbers["healthy", (name,)] = [float(is_healthy)]
            numbers |= {("state", (name, str(each))): [float(each is state)] for each in State}
        numbers["build_info", (version("delegations-projector"),)] = [1.0]
        return numbers


def families(numbers: Numbers) -> Iterator[Family]:
    """What Prometheus' client renders, in the order of the table."""
    found: dict[str, dict[tuple[str, ...], list[float]]] = {}
    for (name, labels), values in numbers.items():
        found.setdefault(name, {})[labels] = values
    for name, metric in METRICS.items():
        if name in found:
            yield _family(metric, found[name])


def _family(metric: Metric, found: Mapping[tuple[str, ...], list[float]]) -> Family:
    name, labels = PREFIX + metric.name, list(metric.labels)
    if metric.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(name, metric.text, labels=labels)
        limits = [*map(str, metric.buckets), "+Inf"]
        for values, numbers in found.items():
            histogram.add_metric(list(values), list(zip(limits, numbers[:-1], strict=True)), numbers[-1])
        return histogram
    family: CounterMetricFamily | GaugeMetricFamily
    if metric.kind is Kind.COUNTER:
        family = CounterMetricFamily(name, metric.text, labels=labels)
    else:
        family = GaugeMetricFamily(name, metric.text, labels=labels)
    for values, numbers in found.items():
        family.add_metric(list(values), numbers[0])
    return family
