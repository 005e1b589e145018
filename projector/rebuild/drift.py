"""Drift: how a delegation differs between view and source, and what the difference means. No SQL, no Kafka.

docs/decisions/0006 explains the rules.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from projector.contract.facts import TERMINAL, Status
from projector.domain.fold import Parked
from projector.domain.lifecycle import Delegation, changed_columns
from projector.domain.order import ORDER_COLUMNS, Undecided

_STEP_TIMES = frozenset({"last_heartbeat", "updated_at"})
_ENDING = frozenset({"status", "result_preview", "error_detail"})


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
    PENDING_EVENT = "pending event"
    ORDER_NOT_TOLD = "order not told"
    VERDICT_NOT_TOLD = "verdict not told"


NOT_TOLD = frozenset({Classification.ORDER_NOT_TOLD, Classification.VERDICT_NOT_TOLD})
"""What the source does not decide. It is never written."""


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
    """A delegation in the view and in the log, with the events that each of them has parked for it.

    `verdicts`: the statuses of its verdicts in a source without steps, which does not show what came before a verdict.
    """

    view: Delegation | None
    log: Delegation | None
    parked_in_view: Sequence[Parked] = ()
    parked_by_log: Sequence[Parked] = ()
    verdicts: frozenset[Status] = frozenset()


class Difference(NamedTuple):
    """A delegation that differs between the two sides. `columns` is empty unless both sides have a row."""

    delegation_id: str
    kind: DriftKind
    columns: tuple[str, ...]
    sides: Sides

    @property
    def deletes_row(self) -> bool:
        """Whether a repair deletes a row of the view."""
        return self.kind is DriftKind.UNEXPECTED

    @property
    def deleted_parked(self) -> int:
        """How many parked events a repair deletes with nothing in their place: neither an event nor a row."""
        if self.sides.log is not None:
            return 0
        return len(_places(self.sides.parked_in_view) - _places(self.sides.parked_by_log))


def _places(parked: Sequence[Parked]) -> set[tuple[str, int, int]]:
    return {each[:3] for each in parked}


def difference(delegation_id: str, sides: Sides, coverage: Coverage) -> Difference | None:
    """How the sides differ, or None where they are equal."""
    view, log = sides.view, sides.log
    if view is not None and log is not None:
        ignored = _ignored_columns(sides, view, log, coverage)
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


def _ignored_columns(sides: Sides, view: Delegation, log: Delegation, coverage: Coverage) -> frozenset[str]:
    """The columns that a source without steps cannot prove wrong."""
    if coverage.steps:
        return frozenset()
    both_ended = view.status in TERMINAL and log.status in TERMINAL and view.status is not log.status
    return ORDER_COLUMNS if both_ended and not _open_to_verdict(sides) else _STEP_TIMES


def _open_to_verdict(sides: Sides) -> frozenset[str]:
    """The columns that a verdict may have decided on one side only, where it came before or after another event."""
    view, log = sides.view, sides.log
    if view is None or log is None:
        return frozenset()
    if view.status is log.status:
        return frozenset({"error_detail"}) if view.status in sides.verdicts else frozenset()
    return frozenset() if sides.verdicts.isdisjoint((view.status, log.status)) else _ENDING


def split_by_verdict(found: Difference, meaning: Classification) -> list[tuple[Difference, Classification]]:
    """The difference in parts: what a verdict may have decided, and the others with `meaning`."""
    if found.kind is not DriftKind.DIFFERS or meaning is not Classification.DRIFT:
        return [(found, meaning)]
    return _split(found, meaning, _open_to_verdict(found.sides), Classification.VERDICT_NOT_TOLD)


def classify(
    found: Difference,
    coverage: Coverage,
    *,
    drop_uncovered: bool = False,
    key_is_kept: bool = False,
    young_since: datetime | None = None,
) -> Classification:
    """What the difference means.

    `key_is_kept`: the delegation needs an idempotency key, and the row that holds it is not going to change.
    `young_since`: rows created later may be direct writes whose event is still to come; None: there are none.
    """
    view = found.sides.view
    if view is not None and coverage.until is not None and view.updated_at > coverage.until:
        return Classification.AHEAD
    if key_is_kept:
        return Classification.NOT_COVERED
    if _is_young(found, young_since) and (drop_uncovered or coverage.proves_absence):
        return Classification.PENDING_EVENT
    if view is None or drop_uncovered or found.kind is DriftKind.PARKED:
        return Classification.DRIFT
    if found.kind is DriftKind.UNEXPECTED and not coverage.proves_absence:
        return Classification.NOT_COVERED
    is_older = coverage.since is not None and view.created_at < coverage.since
    if is_older and (coverage.holes or found.sides.log is None or _has_another_end(view, found.sides.log)):
        return Classification.NOT_COVERED
    return Classification.DRIFT


def _is_young(found: Difference, young_since: datetime | None) -> bool:
    view = found.sides.view
    return (
        found.kind is DriftKind.UNEXPECTED
        and view is not None
        and young_since is not None
        and view.created_at > young_since
    )


def _has_another_end(view: Delegation, log: Delegation) -> bool:
    """Whether the view has a terminal status that the log lacks.

    The first terminal status stands, and its record may be older than the log.
    """
    return view.status in TERMINAL and log.status is not view.status


def may_depend_on_order(found: Difference, meaning: Classification, *, key_is_kept: bool = False) -> bool:
    """Whether the order between partitions can explain the difference, whatever the source holds.

    Exactly one of the delegations that are requested with a key gets it. So a row is missing for this reason only if
    another row of the view has its key and keeps it.
    """
    if found.kind is DriftKind.MISSING:
        return key_is_kept
    if meaning is not Classification.DRIFT:
        return False
    if found.kind is DriftKind.DIFFERS:
        return not ORDER_COLUMNS.isdisjoint(found.columns)
    return found.kind is DriftKind.UNEXPECTED and bool(keyed_rows(found))


def keyed_rows(found: Difference) -> list[Delegation]:
    """The rows of both sides that have an idempotency key."""
    return [row for row in (found.sides.view, found.sides.log) if row is not None and row.idempotency_key]


def split_by_order(
    found: Difference, meaning: Classification, undecided: Undecided
) -> list[tuple[Difference, Classification]]:
    """The difference in parts: what the order between partitions may have decided, and the others with `meaning`."""
    if found.kind is not DriftKind.DIFFERS:
        return [(found, Classification.ORDER_NOT_TOLD if undecided.presence else meaning)]
    open_columns = ORDER_COLUMNS if undecided.columns else frozenset[str]()
    return _split(found, meaning, open_columns, Classification.ORDER_NOT_TOLD)


def _split(
    found: Difference, meaning: Classification, open_columns: frozenset[str], open_meaning: Classification
) -> list[tuple[Difference, Classification]]:
    parts = (
        (tuple(name for name in found.columns if name in open_columns), open_meaning),
        (tuple(name for name in found.columns if name not in open_columns), meaning),
    )
    return [(found._replace(columns=columns), part) for columns, part in parts if columns]
