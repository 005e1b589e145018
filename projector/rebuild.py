"""`projector verify` and `projector rebuild`: a shadow of the view is folded anew, compared, and written over it.

One mechanism, in phases: fold the source into the shadow while the projector goes on; note what differs without a
lock; then, in one transaction at exactly one position, look at each of those again and write what is drift. Decision
0006 has the rules.
"""

import os
import socket
from collections.abc import Callable, Collection, Sequence
from importlib.metadata import version
from typing import NamedTuple
from uuid import UUID, uuid4

from projector import shadow, staging, store, swap
from projector.difference import Coverage, Difference, Kind, Report, Sides, Verdict, difference, verdict
from projector.errors import Contested, ProjectorError
from projector.folding import Fold, Sizes, Source, decoded, encoded
from projector.lifecycle import Delegation
from projector.session import Connection, snapshot, transaction
from projector.shadow import Begun
from projector.swap import Applied

_TRIES = 20


class Wish(NamedTuple):
    """What is asked for: to mend, or only to tell; of all delegations, or only of some.

    `sample`: of about so many, chosen by their ids.
    """

    mend: bool = False
    only: Collection[str] = ()
    drop_uncovered: bool = False
    sample: int | None = None


class Done(NamedTuple):
    """What was found and, if it was wished for and there was drift, what was written."""

    report: Report
    applied: Applied | None = None


class Progress:
    """Hears how it comes along; this one does not care."""

    def phase(self, name: str) -> None:
        """What begins now."""

    def folded(self, done: int, total: int) -> None:
        """How many records of how many are folded."""


class Busy(ProjectorError):
    """Somebody else is at it: try again when they are done."""


class _Behind(Exception):
    """The view moved on so far that members would wait too long for the tail: fold again, without holding them up."""


def reconcile(
    view: Connection,
    fold_in: Connection,
    source: Source,
    wish: Wish,
    *,
    sizes: Sizes,
    progress: Progress | None = None,
) -> Done:
    """Compare the view with what the source says and, if wished for, mend it.

    `view` and `fold_in` are sessions on the view and on the shadow. Raises Busy where another verify or rebuild is
    under way, LogGap where the log cannot prove the view, BrokerAway and DatabaseAway; after the latter two, and after
    a crash, the same call goes on where the last one was.
    """
    progress = progress or Progress()
    _lock(view)
    every = _one_in(view, wish.sample)
    fold = Fold(fold_in, uuid4(), sizes, sample=_sample(every), progress=progress.folded)
    begun = _begin(view, source, wish, fold.token, every)
    progress.phase("folding")
    source.fold(view, fold)
    coverage = source.covered(view, decoded(begun.coverage))
    progress.phase("comparing")
    _suspect(view, coverage, wish, every)
    fold.touched = set()
    progress.phase("mending" if wish.mend else "looking again")
    for _ in range(_TRIES):
        try:
            done = _look_again(view, fold, source, coverage, wish)
        except (_Behind, Contested):
            source.fold(view, fold)
            continue
        done.report.records, done.report.carried_over = fold.records, begun.carried_over
        with transaction(view):
            shadow.clear(view)
        return done
    raise ProjectorError(f"the view did not hold still in {_TRIES} tries: run it again, it goes on where it was")


def _lock(view: Connection) -> None:
    if shadow.lock(view):
        return
    other = shadow.work(view)
    who = f"{other.owner}, since {other.since:%Y-%m-%d %H:%M:%S} UTC" if other else "somebody who has just begun"
    raise Busy(f"another verify or rebuild is under way: {who}")


def _one_in(view: Connection, sample: int | None) -> int:
    """One delegation in how many is to be looked at."""
    return 1 if sample is None else max(1, shadow.rows_of_view(view) // max(sample, 1))


def _sample(every: int) -> Callable[[str], bool] | None:
    return None if every == 1 else lambda delegation_id: shadow.sampled(delegation_id, every)


def _begin(view: Connection, source: Source, wish: Wish, token: UUID, every: int) -> Begun:
    """Go on with the shadow that somebody left behind, if it is of this very source, or begin another."""
    owner = f"{socket.gethostname()}/{os.getpid()}"
    uncovered = "dropped" if wish.drop_uncovered else "kept"
    name = f"{source.name}; one in {every}; uncovered {uncovered}; version {version('delegations-projector')}"
    found = shadow.work(view)
    if found is not None and found.source == name and source.can_resume(view):
        return shadow.resume(view, owner, token)
    with transaction(view):
        shadow.clear(view)
        coverage, carried_over = source.begin(view, token, drop_uncovered=wish.drop_uncovered)
        begun = Begun(encoded(coverage), carried_over)
        shadow.begin(view, name, owner, begun)
    return begun


def _suspect(view: Connection, coverage: Coverage, wish: Wish, every: int) -> None:
    """Note what differs by now, without a lock: whatever differs at one position is among it, or is touched later."""
    with transaction(view):
        shadow.suspect_differing(view, steps=coverage.steps, every=every)
        if coverage.proves_absence and every == 1:
            shadow.suspect_parked(view)
        if wish.mend:
            swap.remember_large_rows(view)


def _look_again(view: Connection, fold: Fold, source: Source, coverage: Coverage, wish: Wish) -> Done:
    """At one position of view and shadow, tell drift from the rest, and write it."""
    with transaction(view) if wish.mend else snapshot(view):
        held = source.hold(view, exclusive=wish.mend)
        if not source.settle(fold, held):
            raise _Behind
        shadow.suspect(view, sorted(fold.touched or ()))
        if wish.mend:
            staging.exclude_requests(view)
            swap.lock_suspects(view)
        report = _judged(view, fold.conn, Report(source.name), coverage, wish)
        if not wish.mend or not report.drift:
            return Done(report)
        applied = swap.apply(view, steps=coverage.steps)
        if applied.inserted != report.kinds[Kind.MISSING]:
            raise Contested("a delegation was inserted by another writer")
        if coverage.proves_absence:
            swap.apply_parked(view)
        else:
            swap.forget_parked(view)
        source.hand_over(view, held)
        return Done(report, applied)


def _judged(view: Connection, fold_in: Connection, report: Report, coverage: Coverage, wish: Wish) -> Report:
    """Look at every suspect, count what is found, and acquit all that is not to be written."""
    for ids in shadow.suspects(view):
        found = _differences(view, fold_in, coverage, [each for each in ids if not wish.only or each in wish.only])
        kept = _keys_kept(view, fold_in, found, coverage, wish)
        guilty = set()
        for each in found:
            meaning = verdict(
                each, coverage, drop_uncovered=wish.drop_uncovered, key_is_kept=each.delegation_id in kept
            )
            report.add(each, meaning)
            if meaning is Verdict.DRIFT:
                guilty.add(each.delegation_id)
        shadow.acquit(view, [each for each in ids if each not in guilty])
    return report


def _differences(view: Connection, fold_in: Connection, coverage: Coverage, ids: Sequence[str]) -> list[Difference]:
    ours, its = _rows(view, ids), _rows(fold_in, ids)
    parked_in_view = store.read_parked(view, ids) if coverage.proves_absence else []
    parked_by_log = store.read_parked(fold_in, ids) if coverage.proves_absence else []
    sides = {
        each: Sides(
            ours.get(each),
            its.get(each),
            [parked for parked in parked_in_view if parked.event.delegation_id == each],
            [parked for parked in parked_by_log if parked.event.delegation_id == each],
        )
        for each in ids
    }
    return [found for each in ids if (found := difference(each, sides[each], coverage))]


def _keys_kept(
    view: Connection, fold_in: Connection, found: Sequence[Difference], coverage: Coverage, wish: Wish
) -> set[str]:
    """The missing delegations whose idempotency key a row of the view holds that is going to stay as it is."""
    wanted = {
        (each.sides.log.caller_id, each.sides.log.idempotency_key): each.delegation_id
        for each in found
        if each.sides.view is None and each.sides.log is not None and each.sides.log.idempotency_key is not None
    }
    keys = [(caller, key) for caller, key in wanted if key is not None]
    holders = store.read_holders(view, keys) if keys else {}
    kept = set()
    for key, holder in holders.items():
        (theirs,) = _differences(view, fold_in, coverage, [holder]) or (None,)
        stays = theirs is None or verdict(theirs, coverage, drop_uncovered=wish.drop_uncovered) is not Verdict.DRIFT
        if stays or (wish.only and holder not in wish.only):
            kept.add(wanted[key])
    return kept


def _rows(conn: Connection, ids: Sequence[str]) -> dict[str, Delegation]:
    return {seen.delegation.delegation_id: seen.delegation for seen in store.read_delegations(conn, ids)}
