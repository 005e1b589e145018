"""Where view and log differ, row by row, and what of it is drift: the rules of decision 0006. No SQL, no Kafka."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from projector.contract.facts import TERMINAL
from projector.domain.fold import Parked
from projector.domain.lifecycle import Delegation

CLOCKS_DIFFER_BY = timedelta(minutes=5)
"""How far the clocks of the platform, its producers and the broker may be apart."""
EXAMPLES = 5
_TIMES_OF_STEPS = {"last_heartbeat", "updated_at"}
_ENDS = {"status", "result_preview", "error_detail"}


class DriftKind(StrEnum):
    """How a delegation differs."""

    MISSING = "missing"
    UNEXPECTED = "unexpected"
    DIFFERS = "differs"
    PARKED = "parked"


class Classification(StrEnum):
    """What a difference means; only drift is ever mended."""

    DRIFT = "drift"
    NOT_COVERED = "not covered"
    AHEAD = "ahead"


class Coverage(NamedTuple):
    """What of the view a source can speak of.

    `since`: it may lack the history of rows that were created before. `until`: rows that changed later are ahead of it.
    `proves_absence`: a delegation that it does not know, and that is not older, never was. `is_log`: it is the view's
    own log, up to the view's positions, so that the same must be parked. `steps`: it tells every step, and so the
    times of them, and which of two ends came first.
    """

    since: datetime | None = None
    until: datetime | None = None
    proves_absence: bool = True
    is_log: bool = True
    steps: bool = True


class Sides(NamedTuple):
    """A delegation as the view has it and as the log does, with what either has parked for it."""

    view: Delegation | None
    log: Delegation | None
    parked_in_view: Sequence[Parked] = ()
    parked_by_log: Sequence[Parked] = ()


class Difference(NamedTuple):
    """A delegation that is not the same on both sides; `columns` are those that differ where both have a row."""

    delegation_id: str
    kind: DriftKind
    columns: tuple[str, ...]
    sides: Sides


def difference(delegation_id: str, sides: Sides, coverage: Coverage) -> Difference | None:
    """How the sides differ, if they do."""
    view, log = sides.view, sides.log
    if view is not None and log is not None:
        ignored = _not_told(view, log, coverage)
        columns = tuple(
            name
            for name, ours, its in zip(Delegation._fields, view, log, strict=True)
            if ours != its and name not in ignored
        )
        if columns:
            return Difference(delegation_id, DriftKind.DIFFERS, columns, sides)
    elif view is not None:
        return Difference(delegation_id, DriftKind.UNEXPECTED, (), sides)
    elif log is not None:
        return Difference(delegation_id, DriftKind.MISSING, (), sides)
    if coverage.is_log and set(sides.parked_in_view) != set(sides.parked_by_log):
        return Difference(delegation_id, DriftKind.PARKED, (), sides)
    return None


def _not_told(view: Delegation, log: Delegation, coverage: Coverage) -> set[str]:
    """The columns in which the sides may differ, since the source does not know better."""
    if coverage.steps:
        return set()
    both_ended = view.status in TERMINAL and log.status in TERMINAL
    return _TIMES_OF_STEPS | _ENDS if both_ended and view.status is not log.status else _TIMES_OF_STEPS


def classify(
    found: Difference, coverage: Coverage, *, drop_uncovered: bool = False, key_is_kept: bool = False
) -> Classification:
    """What the difference means; `key_is_kept`: it needs an idempotency key that a row holds which is going to stay."""
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
    if is_older and (found.sides.log is None or _ended_otherwise(view, found.sides.log)):
        return Classification.NOT_COVERED
    return Classification.DRIFT


def _ended_otherwise(view: Delegation, log: Delegation) -> bool:
    """Whether the view has an end that the log does not: the first end stands, and it may be older than the log."""
    return view.status in TERMINAL and log.status is not view.status


class Example(NamedTuple):
    """A difference, told: for each column what the view holds and what the log says."""

    delegation_id: str
    kind: DriftKind
    columns: dict[str, tuple[object, object]]


class DriftReport:
    """What a comparison found, counted, with a few examples of each kind."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.records = 0
        self.empty = False
        self.uncovered = 0
        """How many rows are older than the source, or not in it, and were not even looked at."""
        self.verdicts: Counter[Classification] = Counter()
        self.kinds: Counter[DriftKind] = Counter()
        self.columns: Counter[str] = Counter()
        self.examples: list[Example] = []

    def add(self, found: Difference, meaning: Classification) -> None:
        """Count a difference."""
        self.verdicts[meaning] += 1
        if meaning is not Classification.DRIFT:
            return
        self.kinds[found.kind] += 1
        self.columns.update(found.columns)
        if self.kinds[found.kind] <= EXAMPLES:
            self.examples.append(Example(found.delegation_id, found.kind, _values(found)))

    @property
    def drift(self) -> int:
        """How many delegations are not as the source says."""
        return self.verdicts[Classification.DRIFT]

    @property
    def not_covered(self) -> int:
        """How many rows stay as they are, since the source no longer holds their history whole."""
        return self.uncovered + self.verdicts[Classification.NOT_COVERED]


def _values(found: Difference) -> dict[str, tuple[object, object]]:
    view, log = found.sides.view, found.sides.log
    if found.kind is DriftKind.PARKED:
        return {"parked": (len(found.sides.parked_in_view), len(found.sides.parked_by_log))}
    names = found.columns or ("status", "created_at")
    return {name: (view and getattr(view, name), log and getattr(log, name)) for name in names}
