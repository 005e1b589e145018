"""docs/metrics.md: the metrics by the process that exports them, with their type and labels."""

from functools import partial

from projector.worker.metrics import METRICS, PREFIX, Kind, Metric, Part
from reference.blocks import Block, table_with_meanings


def blocks() -> dict[str, Block]:
    """A block per kind of process."""
    return {f"metrics of {part}": partial(_part, part) for part in Part}


def _part(part: Part, old: str) -> str:
    exported = [metric for metric in METRICS.values() if metric.part is part]
    rows = (([f"`{PREFIX}{each.name}`", _type(each.kind), _labels(each)], each.text) for each in exported)
    return table_with_meanings(["metric", "type", "labels"], rows, old)


def _labels(metric: Metric) -> str:
    return ", ".join(f"`{label}`" for label in metric.labels)


def _type(kind: Kind) -> str:
    return "gauge" if kind in (Kind.LARGEST, Kind.SMALLEST) else kind
