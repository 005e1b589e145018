"""Drift: how a delegation differs between view and source, and what the difference means. No SQL, no Kafka.

docs/decisions/0006 explains the rules.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from projector.contract.facts import TERMINAL
from projector.domain.fold import Parked
from projector.domain.lifecycle import Delegation, changed_columns

CLOCKS_DIFFER_BY = timedelta(minutes=5)
"""The largest expected difference between the clocks of the platform, its producers and the broker."""
EXAMPLES = 5
"""How many differences of each kind a report shows."""
_STEP_TIMES = {"last_heartbeat", "updated_at"}
_END_COLUMNS = {"status", "result_preview", "error_detail"}


class DriftKind(StrEnum):
    """How a delegation differs."""

    MISSING = "missing"
    UNEXPECTED = "unexpected"
    DIFFERS = "differs"
    PARKED = "parked"


class Classification(StrEnum):
    """What a difference means. Only drift is repaired."""

    DRIFT = "drift"
    NOT_COVERED = "not covered"
    AHEAD = "ahead"


class Coverage(NamedTuple):
    """For which rows of the view a source has the history.

    | field | meaning |
    |---|---|
    | `since` | rows created earlier may have history that the source lacks |
    | `until` | rows that changed later are ahead of the source |
    | `proves_absence` | a row that the source lacks never existed, unless it was created before `since` |
    | `is_log` | the source is the view's own topic up to the view's positions, so the parked events must be equal too |
    | `steps` | the source has each step: the times of steps, and which of two terminal statuses came first |
    | `holes` | partition → the offset after the last hole in its log. Rows older than `since` are then not compared |
    """

    since: datetime | None = None
    until: datetime | None = None
    proves_absence: bool = True
    is_log: bool = True
    steps: bool = True
    holes: Mapping[int, int] = {}


class Sides(NamedTuple):
    """A delegation in the view and in the log, with the events that each of them has parked for it."""

    view: Delegation | None
    log: Delegation | None
    parked_in_view: Sequence[Parked] = ()
    parked_by_log: Sequence[Parked] = ()


class Difference(NamedTuple):
    """A delegation that differs between the two sides. `columns` is empty unless both sides have a row."""

    delegation_id: str
    kind: DriftKind
    columns: tuple[str, ...]
    sides: Sides


def difference(delegation_id: str, sides: Sides, coverage: Coverage) -> Difference | None:
    """How the sides differ, or None where they are equal."""
    view, log = sides.view, sides.log
    if view is not None and log is not None:
        ignored = _ignored_columns(view, log, coverage)
        columns = tuple(name for name in changed_columns(view, log) if name not in ignored)
        if columns:
            return Difference(delegation_id, DriftKind.DIFFERS, columns, sides)
    elif view is not None:
        return Difference(delegation_id, DriftKind.UNEXPECTED, (), sides)
    elif log is not None:
        return Difference(delegation_id, DriftKind.MISSING, (), sides)
    if coverage.is_log and set(sides.parked_in_view) != set(sides.parked_by_log):
        return Difference(delegation_id, DriftKind.PARKED, (), sides)
    return None


def _ignored_columns(view: Delegation, log: Delegation, coverage: Coverage) -> set[str]:
    """The columns that a source without steps cannot prove wrong."""
    if coverage.steps:
        return set()
    both_ended = view.status in TERMINAL and log.status in TERMINAL
    return _STEP_TIMES | _END_COLUMNS if both_ended and view.status is not log.status else _STEP_TIMES


def classify(
    found: Difference, coverage: Coverage, *, drop_uncovered: bool = False, key_is_kept: bool = False
) -> Classification:
    """What the difference means.

    `key_is_kept`: the delegation needs an idempotency key, and the row that holds it is not going to change.
    """
    view = found.sides.view
    if view is not None and coverage.until is not None and view.updated_at > coverage.until:
        return Classification.AHEAD
    if key_is_kept:
        return Classification.NOT_COVERED
    if view is None or drop_uncovered or found.kind is DriftKind.PARKED:
        return Classification.DRIFT
    if found.kind is DriftKind.UNEXPECTED and not coverage.proves_absence:
        return Classification.NOT_COVERED
    is_older = coverage.since is not None and view.created_at < coverage.since
    if is_older and (coverage.holes or found.sides.log is None or _has_another_end(view, found.sides.log)):
        return Classification.NOT_COVERED
    return Classification.DRIFT


def _has_another_end(view: Delegation, log: Delegation) -> bool:
    """Whether the view has a terminal status that the log lacks.

    The first terminal status stands, and its record may be older than the log.
    """
    return view.status in TERMINAL and log.status is not view.status


class Example(NamedTuple):
    """A difference to show: column → (value in the view, value in the log)."""

    delegation_id: str
    kind: DriftKind
    columns: dict[str, tuple[object, object]]


class DriftReport:
    """The differences of a comparison: their counts, and a few examples of each kind."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.records = 0
        self.empty = False
        self.uncovered = 0
        """Rows that were not compared, because they are older than the source or not in it."""
        self.classified: Counter[Classification] = Counter()
        self.kinds: Counter[DriftKind] = Counter()
        self.columns: Counter[str] = Counter()
        self.examples: list[Example] = []

    def add(self, found: Difference, meaning: Classification) -> None:
        """Count a difference; only drift is counted by kind and column."""
        self.classified[meaning] += 1
        if meaning is not Classification.DRIFT:
            return
        self.kinds[found.kind] += 1
        self.columns.update(found.columns)
        if self.kinds[found.kind] <= EXAMPLES:
            self.examples.append(Example(found.delegation_id, found.kind, _values(found)))

    @property
    def drift(self) -> int:
        """How many delegations have drifted from the source."""
        return self.classified[Classification.DRIFT]

    @property
    def not_covered(self) -> int:
        """How many rows stay as they are, because the source lacks a part of their history."""
        return self.uncovered + self.classified[Classification.NOT_COVERED]


def _values(found: Difference) -> dict[str, tuple[object, object]]:
    view, log = found.sides.view, found.sides.log
    if found.kind is DriftKind.PARKED:
        return {"parked": (len(found.sides.parked_in_view), len(found.sides.parked_by_log))}
    names = found.columns or ("status", "created_at")
    return {name: (view and getattr(view, name), log and getattr(log, name)) for name in names}
