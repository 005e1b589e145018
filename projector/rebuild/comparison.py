"""The comparison of view and shadow at one position: which candidates differ, and which differences are drift."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple, cast

from projector.contract.facts import Status
from projector.domain.fold import Changes, Parked
from projector.domain.lifecycle import Delegation, State, evolve
from projector.domain.order import Undecided
from projector.postgres import delegations
from projector.postgres.connection import Connection
from projector.postgres.write_batch import write
from projector.rebuild import candidates, order, shadow
from projector.rebuild.drift import (
    NOT_TOLD,
    Classification,
    Coverage,
    Difference,
    Sides,
    classify,
    difference,
    may_depend_on_order,
    split_by_order,
    split_by_verdict,
)
from projector.rebuild.report import DriftReport


class Options(NamedTuple):
    """What to do about drift, and for which delegations.

    | field | meaning |
    |---|---|
    | `repair` | write the drift into the view; else only report it |
    | `only` | compare these delegations only; empty: all of them |
    | `drop_uncovered` | treat rows whose history the source lacks as drift |
    | `sample` | compare about this many delegations, chosen by their ids; None: all of them |
    | `grace` | rows younger than this that the source lacks may be direct writes; 0: there are none |
    """

    repair: bool = False
    only: Collection[str] = ()
    drop_uncovered: bool = False
    sample: int | None = None
    grace: timedelta = timedelta(0)


class Task(StrEnum):
    """What a comparison is for."""

    REPORT = "report"
    PLAN = "plan"
    """It also notes what a repair would delete."""
    REPAIR = "repair"
    """It also clears the candidates that are not to be written."""


class Comparison:
    """Compares a view and a shadow that do not change meanwhile, over one connection to each."""

    def __init__(
        self,
        view: Connection,
        shadow_conn: Connection,
        coverage: Coverage,
        options: Options,
        *,
        has_total_order: bool,
        verdicts: Mapping[str, Collection[Status]],
    ) -> None:
        self._view, self._shadow = view, shadow_conn
        self._coverage, self._options = coverage, options
        self._has_total_order = has_total_order
        self._verdicts = verdicts
        self._young_since = shadow.now(view) - options.grace if options.grace else None
        self.is_planned = True
        """Whether every deletion was in the plan; known after `compare`."""

    def compare(self, report: DriftReport, task: Task = Task.REPORT) -> DriftReport:
        """Compare the candidates and count the differences."""
        if task is Task.PLAN:
            candidates.begin_plan(self._shadow)
        for ids in candidates.read(self._view):
            meanings = self._compare([each for each in ids if self._is_selected(each)])
            for each, meaning in meanings:
                report.add(each, meaning)
            drift = [each for each, meaning in meanings if meaning is Classification.DRIFT]
            deleted = [each.delegation_id for each in drift if each.deletes_row or each.deleted_parked]
            if task is Task.PLAN:
                candidates.plan_deletions(self._shadow, deleted)
            if task is Task.REPAIR:
                self.is_planned = self.is_planned and candidates.are_planned(self._shadow, deleted)
                self._prepare_repair(ids, drift, meanings)
        return report

    def _prepare_repair(self, ids: list[str], drift: list[Difference], meanings: "_Meanings") -> None:
        """Keep only the drift among the candidates, without the columns that the order or a verdict decided."""
        drifted = {each.delegation_id for each in drift}
        candidates.clear(self._view, [each for each in ids if each not in drifted])
        excused = {each.delegation_id for each, meaning in meanings if meaning in NOT_TOLD}
        if kept := list(drifted & excused):
            order.keep_columns(self._view, kept)

    def _is_selected(self, delegation_id: str) -> bool:
        return not self._options.only or delegation_id in self._options.only

    def _compare(self, ids: Sequence[str], waiting: frozenset[str] = frozenset()) -> "_Meanings":
        differences = self._differences(ids)
        return self._meanings(differences, self._blocked_by_keys(differences, waiting))

    def _meanings(self, differences: Sequence[Difference], blocked: Collection[str]) -> "_Meanings":
        meanings = [(each, self._classify(each, blocked)) for each in differences]
        doubtful = [
            each
            for each, meaning in meanings
            if may_depend_on_order(each, meaning, key_is_kept=each.delegation_id in blocked)
        ]
        undecided = self._undecided(doubtful)
        return [
            part
            for each, meaning in meanings
            for by_order in split_by_order(each, meaning, undecided.get(each.delegation_id, Undecided()))
            for part in split_by_verdict(*by_order)
        ]

    def _undecided(self, differences: Sequence[Difference]) -> dict[str, Undecided]:
        if self._has_total_order or not differences:
            return {}
        order.add_groups(self._shadow, differences)
        return order.read_undecided(self._shadow, [each.delegation_id for each in differences])

    def _classify(self, found: Difference, blocked: Collection[str]) -> Classification:
        return classify(
            found,
            self._coverage,
            drop_uncovered=self._options.drop_uncovered,
            key_is_kept=found.delegation_id in blocked,
            young_since=self._young_since,
        )

    def _differences(self, ids: Sequence[str]) -> list[Difference]:
        view, log = _rows(self._view, ids), _rows(self._shadow, ids)
        parked_in_view, parked_by_log = self._parked(self._view, ids), self._parked(self._shadow, ids)
        sides = {
            each: Sides(
                view.get(each),
                log.get(each),
                parked_in_view.get(each, ()),
                parked_by_log.get(each, ()),
                frozenset(self._verdicts.get(each, ())),
            )
            for each in ids
        }
        return [found for each in ids if (found := difference(each, sides[each], self._coverage))]

    def _parked(self, conn: Connection, ids: Sequence[str]) -> dict[str, list[Parked]]:
        by_id: dict[str, list[Parked]] = {}
        for parked in delegations.read_parked(conn, ids) if self._coverage.is_log else ():
            by_id.setdefault(parked.event.delegation_id, []).append(parked)
        return by_id

    def _blocked_by_keys(self, differences: Sequence[Difference], waiting: frozenset[str] = frozenset()) -> set[str]:
        """The delegations that need an idempotency key which another row holds and is going to keep.

        A row keeps its key unless it is drift itself, and it may need a key in its turn. So this follows the keys from
        holder to holder; `waiting` are the delegations on the way, whose keys depend on the answer. A ring of exchanged
        keys leads back to one of them: all of its rows are written, or none.
        """
        wanted = {key: each.delegation_id for each in differences if (key := _wanted_key(each.sides))}
        holders = delegations.read_holders(self._view, list(wanted)) if wanted else {}
        return {wanted[key] for key, holder in holders.items() if self._keeps_its_key(holder, waiting | {wanted[key]})}

    def _keeps_its_key(self, holder: str, waiting: frozenset[str]) -> bool:
        if holder in waiting:
            return False
        meanings = self._compare([holder], waiting) if self._is_selected(holder) else []
        return not any(meaning is Classification.DRIFT for _, meaning in meanings)


_Meanings = list[tuple[Difference, Classification]]
"""Differences, and what they mean. A delegation is there twice if the order decided only some of its columns."""


def apply_parked(view: Connection, shadow_conn: Connection) -> None:
    """Apply the candidates' events that are parked in the view to their rows in the shadow.

    A source other than the topic may not have these events.
    """
    for ids in candidates.read(view):
        parked = delegations.read_parked(view, ids)
        seen = {each.state.delegation_id: each for each in delegations.read_states(shadow_conn, ids)} if parked else {}
        rows = {delegation_id: row.state for delegation_id, row in seen.items()}
        for each in parked:
            if before := rows.get(each.event.delegation_id):
                rows[before.delegation_id] = cast(State, evolve(before, each.event).after)
        changed = [row for delegation_id, row in rows.items() if row != seen[delegation_id].state]
        versions = {delegation_id: row.version for delegation_id, row in seen.items()}
        await_written = write(shadow_conn, Changes(updated=changed), versions)
        await_written()


def _wanted_key(sides: Sides) -> tuple[str, str] | None:
    """The caller and idempotency key that the delegation has in the log and lacks in the view."""
    view, log = sides.view, sides.log
    if log is None or log.idempotency_key is None:
        return None
    key = (log.caller_id, log.idempotency_key)
    return None if view is not None and (view.caller_id, view.idempotency_key) == key else key


def _rows(conn: Connection, ids: Sequence[str]) -> dict[str, Delegation]:
    return {each.delegation_id: each for each in delegations.read_delegations(conn, ids)}
