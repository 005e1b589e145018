"""The metrics of a process: one table of their names, and the numbers, which a parent can add to those of others."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

PREFIX = "projector_"


class Kind(StrEnum):
    """How a metric is read, and how the numbers of several processes become one."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    LARGEST = "largest"
    """A gauge: the largest number of all processes."""
    SMALLEST = "smallest"
    """A gauge: the smallest number of all processes."""


class Metric(NamedTuple):
    """`name` without the prefix; a counter's name ends in `_total`. `buckets`: upper limits, of a histogram."""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_PARTITION = ("topic", "partition")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_RECORDS = (1.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 5_000.0, 10_000.0, 20_000.0)

METRICS = {
    metric.name: metric
    for metric in (
        Metric("records_total", Kind.COUNTER, "records by how they ended", ("outcome",)),
        Metric("batch_seconds", Kind.HISTOGRAM, "time from sending a batch to its commit", (), _SECONDS),
        Metric("batch_records", Kind.HISTOGRAM, "records per batch", (), _RECORDS),
        Metric(
            "end_to_end_seconds",
            Kind.HISTOGRAM,
            "from the timestamp of the last record of each partition in a batch to the commit",
            (),
            _SECONDS,
        ),
        Metric("lag_records", Kind.LARGEST, "offsets up to the high watermark that are not projected", _PARTITION),
        Metric(
            "lag_seconds",
            Kind.LARGEST,
            "age of the last projected record while there is lag, else 0",
            _PARTITION,
        ),
        Metric("position", Kind.LARGEST, "the first offset that is not projected", _PARTITION),
        Metric("log_idle_seconds", Kind.SMALLEST, "age of the newest projected record of any partition"),
        Metric("fenced_total", Kind.COUNTER, "batches that another owner of the position prevented"),
        Metric("rebalances_total", Kind.COUNTER, "assignments of partitions by the group"),
        Metric("consumer_rebuilds_total", Kind.COUNTER, "consumers closed after an error of Kafka"),
        Metric("retries_total", Kind.COUNTER, "batches that are read and written again", ("reason",)),
        Metric("last_commit_timestamp_seconds", Kind.LARGEST, "when the last batch was committed"),
        Metric("partitions", Kind.LARGEST, "partitions that the process projects", ("process",)),
        Metric("healthy", Kind.SMALLEST, "1 if the process is healthy, else 0", ("process",)),
        Metric("sweep_verdicts_total", Kind.COUNTER, "verdicts that were written", ("status",)),
        Metric("sweep_spared_total", Kind.COUNTER, "candidates that the platform's table spared"),
        Metric("sweep_repeated_total", Kind.COUNTER, "verdicts that were there already"),
        Metric("sweep_skipped_total", Kind.COUNTER, "passes that judged nobody, or not everybody", ("reason",)),
        Metric("sweep_held_total", Kind.COUNTER, "stuck verdicts that were held back"),
        Metric("sweep_last_pass_timestamp_seconds", Kind.LARGEST, "when the last pass ended"),
        Metric("sweep_unconfirmed_seconds", Kind.LARGEST, "age of the oldest verdict that the view does not show"),
        Metric("push_sent_total", Kind.COUNTER, "replies that were sent", ("target",)),
        Metric("push_failed_total", Kind.COUNTER, "replies that were not sent", ("target", "reason")),
        Metric("push_last_pass_timestamp_seconds", Kind.LARGEST, "when the last look for due replies ended"),
    )
}
"""Name → metric. docs/monitoring.md describes each."""

Sample = tuple[str, tuple[str, ...], list[float]]
"""Name, values of the labels, and the number; of a histogram the count of each bucket, of all, and the sum."""


class Meters:
    """The numbers of one process. One thread writes them."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, tuple[str, ...]], list[float]] = {}

    def add(self, name: str, *labels: str, by: float = 1.0) -> None:
        """Count something."""
        self._numbers.setdefault((name, labels), [0.0])[0] += by

    def set(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge, or a counter that is counted elsewhere."""
        self._numbers[name, labels] = [value]

    def replace(self, name: str, values: Mapping[tuple[str, ...], float]) -> None:
        """Set a gauge for these labels, and remove it for others, such as partitions that were taken away."""
        for key in [key for key in self._numbers if key[0] == name]:
            del self._numbers[key]
        self._numbers.update({(name, labels): [value] for labels, value in values.items()})

    def observe(self, name: str, value: float) -> None:
        """Add to a histogram."""
        limits = METRICS[name].buckets
        counts = self._numbers.setdefault((name, ()), [0.0] * (len(limits) + 2))
        for place, limit in enumerate(limits):
            if value <= limit:
                counts[place] += 1
        counts[-2] += 1
        counts[-1] += value

    def samples(self) -> list[Sample]:
        """All numbers, as JSON can hold them."""
        return [(name, labels, list(numbers)) for (name, labels), numbers in self._numbers.items()]


def merged(parts: Iterable[Sequence[Sample]]) -> dict[tuple[str, tuple[str, ...]], list[float]]:
    """The numbers of several processes as one. Names that this release does not know are left out."""
    found: dict[tuple[str, tuple[str, ...]], list[float]] = {}
    for name, labels, numbers in (sample for part in parts for sample in part):
        metric, key = METRICS.get(name), (name, tuple(labels))
        if metric is None:
            continue
        before = found.get(key)
        found[key] = list(numbers) if before is None else _joined(metric.kind, before, numbers)
    return found


def _joined(kind: Kind, before: Sequence[float], numbers: Sequence[float]) -> list[float]:
    if kind is Kind.LARGEST:
        return [max(before[0], numbers[0])]
    if kind is Kind.SMALLEST:
        return [min(before[0], numbers[0])]
    return [a + b for a, b in zip(before, numbers, strict=True)]
