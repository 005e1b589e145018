"""The report of a comparison: how many delegations differ, what that means, and a few examples."""

from collections import Counter
from typing import NamedTuple

from projector.rebuild.drift import NOT_TOLD, Classification, Difference, DriftKind

EXAMPLES = 5
"""How many differences of each kind a report shows."""
_SHOWN = NOT_TOLD | {Classification.DRIFT, Classification.PENDING_EVENT}
"""What is shown with examples."""


class Example(NamedTuple):
    """A difference to show: column → (value in the view, value in the log)."""

    delegation_id: str
    kind: DriftKind
    meaning: Classification
    columns: dict[str, tuple[object, object]]


class Totals(NamedTuple):
    """The numbers of a run that are not about single differences.

    | field | meaning |
    |---|---|
    | `records` | records folded by this run |
    | `is_resumed` | an interrupted run had folded others before |
    | `compared` | delegations that the source has, of those that were to be compared |
    | `unreadable` | records of the source that could not be read |
    | `uncovered` | rows that were not compared, because they are older than the source or not in it |
    | `view_rows` | rows of the view; 0 if none would be deleted |
    | `pruned` | delegations that were pruned: the fold passes over their records |
    | `is_empty` | the source has no record at all |
    """

    records: int = 0
    is_resumed: bool = False
    compared: int = 0
    unreadable: int = 0
    uncovered: int = 0
    view_rows: int = 0
    pruned: int = 0
    is_empty: bool = False


class DriftReport:
    """The differences of a comparison: their counts, and a few examples of each kind."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.totals = Totals()
        self.not_remembered = 0
        """Repeated requests of the source that the view has not remembered. They are no drift."""
        self.parked_deletions = 0
        """Parked events that a repair deletes with nothing in their place."""
        self.classified: Counter[Classification] = Counter()
        self.kinds: Counter[DriftKind] = Counter()
        self.columns: Counter[str] = Counter()
        self.examples: list[Example] = []
        self._shown: Counter[tuple[DriftKind, Classification]] = Counter()

    def add(self, found: Difference, meaning: Classification) -> None:
        """Count a difference; only drift is counted by kind and column."""
        self.classified[meaning] += 1
        if meaning is Classification.DRIFT:
            self.kinds[found.kind] += 1
            self.columns.update(found.columns)
            self.parked_deletions += found.deleted_parked
        if meaning not in _SHOWN:
            return
        self._shown[found.kind, meaning] += 1
        if self._shown[found.kind, meaning] <= EXAMPLES:
            self.examples.append(Example(found.delegation_id, found.kind, meaning, _values(found)))

    @property
    def drift(self) -> int:
        """How many delegations have drifted from the source."""
        return self.classified[Classification.DRIFT]

    @property
    def deletes(self) -> bool:
        """Whether a repair deletes anything."""
        return self.kinds[DriftKind.UNEXPECTED] + self.parked_deletions > 0

    @property
    def not_covered(self) -> int:
        """How many rows stay as they are, because the source lacks a part of their history."""
        return self.totals.uncovered + self.classified[Classification.NOT_COVERED]


def _values(found: Difference) -> dict[str, tuple[object, object]]:
    view, log = found.sides.view, found.sides.log
    if found.kind is DriftKind.PARKED:
        return {"parked": (len(found.sides.parked_in_view), len(found.sides.parked_by_log))}
    names = found.columns or ("status", "created_at")
    return {name: (view and getattr(view, name), log and getattr(log, name)) for name in names}
