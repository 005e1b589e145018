"""Goals: what a part of the benchmark wants of a ratio, and whether the median over its rounds reaches it.

A ratio is taken within one round, where both sides met the same machine. Then the median of the rounds counts.
"""

import operator
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

COLUMNS = ("goal", "wanted", "median (smallest to largest)", "")
_RELATIONS = {"≥": operator.ge, "≤": operator.le}


class Goal(NamedTuple):
    """`wanted` is "≥ 1.5", or "≤ 200 MB"; `values` has one value per round, none if one side was not measured."""

    name: str
    wanted: str
    values: Sequence[float]

    @property
    def median(self) -> float:
        """Raises StatisticsError without values."""
        return statistics.median(self.values)

    @property
    def reached(self) -> bool | None:
        """None if it was not measured."""
        relation, wanted = self.wanted.split()[:2]
        return _RELATIONS[relation](self.median, float(wanted)) if self.values else None

    @property
    def row(self) -> list[str]:
        """The goal's line of the table, in the order of COLUMNS."""
        if not self.values:
            return [self.name, self.wanted, "", "not measured"]
        unit = " ".join(["", *self.wanted.split()[2:]])
        measured = f"{_format(self.median)}{unit}"
        if len(self.values) > 1:
            measured += f" ({_format(min(self.values))} to {_format(max(self.values))})"
        return [self.name, self.wanted, measured, "reached" if self.reached else "NOT REACHED"]

    @property
    def json(self) -> dict[str, Any]:
        return {**self._asdict(), "values": list(self.values), "reached": self.reached}


def ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """Divide round by round; empty if one side was not measured."""
    return [one / other for one, other in zip(of, to, strict=True)] if of and to else []


def _format(value: float) -> str:
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
