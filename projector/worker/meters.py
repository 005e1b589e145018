"""The numbers of one process, and those of several as one."""

from collections.abc import Iterable, Mapping, Sequence

from projector.worker.metrics import METRICS, Kind, Metric, Part

Sample = tuple[str, tuple[str, ...], list[float]]
"""Name, values of the labels, and the number; of a histogram the count of each bucket, of all, and the sum."""
Numbers = dict[tuple[str, tuple[str, ...]], list[float]]
"""Name and values of the labels → as in a sample."""

_ADDED = (Kind.COUNTER, Kind.HISTOGRAM)


class Meters:
    """The numbers of one process. One thread writes them."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[tuple[str, ...], list[float]]] = {}

    def begin(self, part: Part) -> None:
        """Set what this part counts to 0: without a first number, no rate would show the first event."""
        for metric in METRICS.values():
            if metric.part is part and metric.kind in _ADDED:
                labels: list[tuple[str, ...]] = [(value,) for value in metric.label_values]
                if found := labels or ([] if metric.labels else [()]):
                    self._numbers[metric.name] = {each: _zero(metric) for each in found}

    def add(self, name: str, *labels: str, by: float = 1.0) -> None:
        """Count something."""
        self._of(name).setdefault(labels, [0.0])[0] += by

    def set(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge, or a counter that is counted elsewhere."""
        self._of(name)[labels] = [value]

    def replace(self, name: str, values: Mapping[tuple[str, ...], float]) -> None:
        """Set a gauge for these labels, and remove it for others, such as partitions that were taken away."""
        self._numbers[name] = {labels: [value] for labels, value in values.items()}

    def observe(self, name: str, value: float) -> None:
        """Add to a histogram."""
        metric = METRICS[name]
        counts = self._of(name).setdefault((), _zero(metric))
        for place, limit in enumerate(metric.buckets):
            if value <= limit:
                counts[place] += 1
        counts[-2] += 1
        counts[-1] += value

    def values(self, name: str) -> list[float]:
        """The numbers of a counter or a gauge, one for each set of labels."""
        return [numbers[0] for numbers in self._numbers.get(name, {}).values()]

    def samples(self) -> list[Sample]:
        """All numbers, as JSON can hold them."""
        return [
            (name, labels, numbers.copy()) for name, found in self._numbers.items() for labels, numbers in found.items()
        ]

    def _of(self, name: str) -> dict[tuple[str, ...], list[float]]:
        return self._numbers.setdefault(name, {})


def _zero(metric: Metric) -> list[float]:
    return [0.0] * (len(metric.buckets) + 2 if metric.kind is Kind.HISTOGRAM else 1)


def merged(fresh: Iterable[Sequence[Sample]], old: Iterable[Sequence[Sample]] = ()) -> Numbers:
    """The numbers of several processes as one. Of an old report only what is counted: else a sum would go down.

    Names that this release does not know are left out.
    """
    found: Numbers = {}
    for is_fresh, parts in ((True, fresh), (False, old)):
        for name, labels, numbers in (sample for part in parts for sample in part):
            metric, key = METRICS.get(name), (name, tuple(labels))
            if metric is None or not (is_fresh or metric.kind in _ADDED):
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
