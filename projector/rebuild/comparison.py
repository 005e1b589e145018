"""The view beside its shadow, at one position: which suspects differ, and what of that is drift."""

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
    """What is asked for: to mend, or only to tell; of all delegations, or only of some.

    `sure`: also if much of the view would be deleted. `sample`: of about so many, chosen by their ids.
    """

    repair: bool = False
    confirmed: bool = False
    only: Collection[str] = ()
    drop_uncovered: bool = False
    sample: int | None = None


class Comparison:
    """Two sessions that hold still: one on the view, one on the shadow."""

    def __init__(self, view: Connection, shadow_conn: Connection, coverage: Coverage, options: Options) -> None:
        self._view, self._fold_in = view, shadow_conn
        self._coverage, self._wish = coverage, options

    def compare(self, report: DriftReport) -> DriftReport:
        """Look at every suspect and count what is found; before it is mended, acquit all that is not to be written."""
        for ids in candidates.read(self._view):
            found = self._differences([each for each in ids if self._is_selected(each)])
            kept = self._keys_kept(found)
            drifted = set()
            for each in found:
                meaning = self._verdict(each, kept)
                report.add(each, meaning)
                if meaning is Classification.DRIFT:
                    drifted.add(each.delegation_id)
            if self._wish.repair:
                candidates.clear(self._view, [each for each in ids if each not in drifted])
        return report

    def _is_selected(self, delegation_id: str) -> bool:
        return not self._wish.only or delegation_id in self._wish.only

    def _verdict(self, found: Difference, kept: Collection[str]) -> Classification:
        drop, is_kept = self._wish.drop_uncovered, found.delegation_id in kept
        return classify(found, self._coverage, drop_uncovered=drop, key_is_kept=is_kept)

    def _differences(self, ids: Sequence[str]) -> list[Difference]:
        view, log = _rows(self._view, ids), _rows(self._fold_in, ids)
        parked_in_view, parked_by_log = self._parked(self._view, ids), self._parked(self._fold_in, ids)
        sides = {
            each: Sides(view.get(each), log.get(each), parked_in_view.get(each, ()), parked_by_log.get(each, ()))
            for each in ids
        }
        return [found for each in ids if (found := difference(each, sides[each], self._coverage))]

    def _parked(self, conn: Connection, ids: Sequence[str]) -> dict[str, list[Parked]]:
        found: dict[str, list[Parked]] = {}
        for parked in delegations.read_parked(conn, ids) if self._coverage.is_log else ():
            found.setdefault(parked.event.delegation_id, []).append(parked)
        return found

    def _keys_kept(self, found: Sequence[Difference], askers: frozenset[str] = frozenset()) -> set[str]:
        """Those that would need an idempotency key which a row holds that is going to stay as it is.

        `askers` are those whose keys depend on the answer: of a ring of exchanged keys all are written, or none.
        """
        wanted = {key: each.delegation_id for each in found if (key := _wanted_key(each.sides))}
        holders = delegations.read_holders(self._view, list(wanted)) if wanted else {}
        return {wanted[key] for key, holder in holders.items() if self._stays(holder, askers | {wanted[key]})}

    def _stays(self, holder: str, askers: frozenset[str]) -> bool:
        if holder in askers:
            return False
        found = self._differences([holder]) if self._is_selected(holder) else []
        kept = self._keys_kept(found, askers)
        return not any(self._verdict(each, kept) is Classification.DRIFT for each in found)


def apply_parked(view: Connection, shadow_conn: Connection) -> None:
    """Fold what is parked in the view for suspects onto their rows in the shadow: the source may know nothing of it."""
    for ids in candidates.read(view):
        parked = delegations.read_parked(view, ids)
        seen = {each.state.delegation_id: each for each in delegations.read_states(shadow_conn, ids)} if parked else {}
        rows = {each: known.state for each, known in seen.items()}
        for each in parked:
            if before := rows.get(each.event.delegation_id):
                rows[before.delegation_id] = cast(State, evolve(before, each.event).after)
        changed = [row for each, row in rows.items() if row != seen[each].state]
        await_written = write(
            shadow_conn, Changes([], changed, [], [], 0), {each: at.version for each, at in seen.items()}
        )
        await_written()


def _wanted_key(sides: Sides) -> tuple[str, str] | None:
    """The caller and idempotency key that the log gives a delegation, and that the view does not give it."""
    view, log = sides.view, sides.log
    if log is None or log.idempotency_key is None:
        return None
    key = (log.caller_id, log.idempotency_key)
    return None if view is not None and (view.caller_id, view.idempotency_key) == key else key


def _rows(conn: Connection, ids: Sequence[str]) -> dict[str, Delegation]:
    return {each.delegation_id: each for each in delegations.read_delegations(conn, ids)}
