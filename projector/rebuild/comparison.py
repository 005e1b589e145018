"""The comparison of view and shadow at one position: which candidates differ, and which differences are drift."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, cast

from projector.domain.fold import Changes, Parked
from projector.domain.lifecycle import Delegation, State, evolve
from projector.postgres import delegations
from projector.postgres.connection import Connection
from projector.postgres.write_batch import write
from projector.rebuild import candidates
from projector.rebuild.drift import Classification, Coverage, Difference, DriftReport, Sides, classify, difference


class Options(NamedTuple):
    """What to do about drift, and for which delegations.

    | field | meaning |
    |---|---|
    | `repair` | write the drift into the view; else only report it |
    | `confirmed` | delete rows even if they are a large part of the view |
    | `only` | compare these delegations only; empty: all of them |
    | `drop_uncovered` | treat rows whose history the source lacks as drift |
    | `sample` | compare about this many delegations, chosen by their ids; None: all of them |
    """

    repair: bool = False
    confirmed: bool = False
    only: Collection[str] = ()
    drop_uncovered: bool = False
    sample: int | None = None


class Comparison:
    """Compares a view and a shadow that do not change meanwhile, over one connection to each."""

    def __init__(self, view: Connection, shadow_conn: Connection, coverage: Coverage, options: Options) -> None:
        self._view, self._shadow = view, shadow_conn
        self._coverage, self._options = coverage, options

    def compare(self, report: DriftReport) -> DriftReport:
        """Compare the candidates and count the differences; for a repair, clear those that are not to be written."""
        for ids in candidates.read(self._view):
            differences = self._differences([each for each in ids if self._is_selected(each)])
            blocked = self._blocked_by_keys(differences)
            drifted = set()
            for each in differences:
                meaning = self._classify(each, blocked)
                report.add(each, meaning)
                if meaning is Classification.DRIFT:
                    drifted.add(each.delegation_id)
            if self._options.repair:
                candidates.clear(self._view, [each for each in ids if each not in drifted])
        return report

    def _is_selected(self, delegation_id: str) -> bool:
        return not self._options.only or delegation_id in self._options.only

    def _classify(self, found: Difference, blocked: Collection[str]) -> Classification:
        drop, key_is_kept = self._options.drop_uncovered, found.delegation_id in blocked
        return classify(found, self._coverage, drop_uncovered=drop, key_is_kept=key_is_kept)

    def _differences(self, ids: Sequence[str]) -> list[Difference]:
        view, log = _rows(self._view, ids), _rows(self._shadow, ids)
        parked_in_view, parked_by_log = self._parked(self._view, ids), self._parked(self._shadow, ids)
        sides = {
            each: Sides(view.get(each), log.get(each), parked_in_view.get(each, ()), parked_by_log.get(each, ()))
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
        differences = self._differences([holder]) if self._is_selected(holder) else []
        blocked = self._blocked_by_keys(differences, waiting)
        return not any(self._classify(each, blocked) is Classification.DRIFT for each in differences)


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
