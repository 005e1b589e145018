"""`projector verify` and `projector rebuild`: a shadow of the view is folded anew, compared, and written over it.

One mechanism, in phases: fold the source into the shadow while the projector goes on; note what differs without a
lock; then, in one transaction at exactly one position, look at each of those again and write what is drift. Decision
0006 has the rules.
"""

import os
import socket
import time
from importlib.metadata import version
from typing import NamedTuple
from uuid import uuid4

from projector import shadow, swap, writing
from projector.comparison import Comparison, Wish, heal
from projector.difference import Coverage, Kind, Report
from projector.errors import BrokerAway, Contested, DatabaseAway, ProjectorError
from projector.folding import Fold, Sizes, Source, decoded, encoded
from projector.session import Connection, reactions, snapshot, transaction
from projector.shadow import Begun
from projector.swap import Applied

_TRIES = 20
FEED_SECONDS = 1.0
FEED_LOOKS = 3
_DELETED_UNASKED = 10
_SHARE_DELETED_UNASKED = 0.1


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


class TooMuch(ProjectorError):
    """More would be deleted than anybody expects: ask."""


class _Behind(Exception):
    """The view moved on so far that members would wait too long for the tail: fold again, without holding them up."""


class _Job(NamedTuple):
    view: Connection
    fold: Fold
    source: Source
    wish: Wish
    every: int
    """One delegation in how many is looked at."""


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
    with reactions():
        left_behind = _take_over(view)
        every = 1 if wish.sample is None else max(1, shadow.rows_of_view(view) // wish.sample)
        sample = None if every == 1 else lambda delegation_id: shadow.sampled(delegation_id, every)
        job = _Job(view, Fold(fold_in, uuid4(), sizes, sample=sample, progress=progress.folded), source, wish, every)
        begun = _begin(job, left_behind)
        progress.phase("folding")
        _fold(job)
        coverage = source.covered(view, decoded(begun.coverage))
        progress.phase("comparing")
        uncovered = _suspect(job, coverage)
        progress.phase("mending" if wish.mend else "looking again")
        _await_feed(job, coverage)
        done = _settle(job, coverage)
        done.report.records = job.fold.records
        done.report.uncovered = begun.carried_over + uncovered
        done.report.empty = source.is_empty()
        with transaction(view):
            shadow.empty(view)
            shadow.leave(view)
        return done


def _take_over(view: Connection) -> str:
    """Be the only one; of what the shadow is that somebody left behind, if there is one."""
    if shadow.lock(view):
        return shadow.sign(view, f"{socket.gethostname()}/{os.getpid()}")
    other = shadow.work(view)
    who = f"{other.owner}, since {other.since:%Y-%m-%d %H:%M:%S} UTC" if other else "somebody who is just done"
    raise Busy(f"another verify or rebuild is under way: {who}")


def _begin(job: _Job, left_behind: str) -> Begun:
    """Go on with the shadow that is there, if it is of this very source and wish, or begin another."""
    view, source, drop = job.view, job.source, job.wish.drop_uncovered
    uncovered = "dropped" if drop else "kept"
    act = "rebuild" if job.wish.mend else "verify"
    name = f"{act} {source.name}; one in {job.every}; uncovered {uncovered}; version {version('delegations-projector')}"
    if left_behind == name and source.can_resume(view):
        return shadow.resume(view, job.fold.token)
    with transaction(view):
        shadow.empty(view)
    with transaction(view):
        coverage, carried_over = source.begin(view, job.fold.token, drop_uncovered=drop)
        begun = Begun(encoded(coverage), carried_over)
        shadow.begin(view, name, begun)
    return begun


def _fold(job: _Job) -> None:
    """Fold what the source has by now, and have it written."""
    job.source.fold(job.view, job.fold)
    job.fold.finish()


def _suspect(job: _Job, coverage: Coverage) -> int:
    """Note what differs by now, without a lock: whatever differs at one position is among it, or is touched later.

    How many rows the source does not cover.
    """
    if reason := shadow.refused(job.view):
        raise ProjectorError(
            f"the shadow would not take a record that the view's tables took, so the two cannot be compared: {reason}. "
            "Were the tables changed by hand? `projector migrate down --to 50` and `up` make the shadow anew"
        )
    drop = job.wish.drop_uncovered
    with transaction(job.view):
        uncovered = shadow.suspect_differing(
            job.view,
            steps=coverage.steps,
            every=job.every,
            uncovered_before=None if drop else coverage.since,
            proves_absence=drop or coverage.proves_absence,
        )
        if coverage.is_log and job.every == 1:
            shadow.suspect_parked(job.view)
        if job.wish.mend:
            swap.remember_large_rows(job.view)
    job.fold.touched = set()
    return uncovered


def _settle(job: _Job, coverage: Coverage) -> Done:
    """Look again as often as it takes until nobody else got in between."""
    for _ in range(_TRIES):
        try:
            return _look_again(job, coverage)
        except Contested:  # by a row that nobody suspects yet, and that may hold the key of another one
            _fold(job)
            _suspect(job, coverage)
        except DatabaseAway:  # or somebody holds a lock for long
            if job.view.closed or job.fold.conn.closed:
                raise
            _fold(job)
        except (BrokerAway, _Behind):
            _fold(job)
    raise ProjectorError(f"the view did not hold still in {_TRIES} tries: run it again, it goes on where it was")


def _await_feed(job: _Job, coverage: Coverage) -> None:
    """What the platform's table says already may still be on its way to the view: look again while drift goes down."""
    drift, looks = -1, 0
    while not coverage.steps and drift and looks < FEED_LOOKS:
        time.sleep(FEED_SECONDS if drift > 0 else 0)  # not before the first look
        before, drift = drift, _look_again(job._replace(wish=job.wish._replace(mend=False)), coverage).report.drift
        looks = looks + 1 if drift == before else 0


def _look_again(job: _Job, coverage: Coverage) -> Done:
    """At one position of view and shadow, tell drift from the rest, and write it."""
    view, fold, source, wish = job.view, job.fold, job.source, job.wish
    with transaction(view) if wish.mend else snapshot(view):
        held = source.hold(view, exclusive=wish.mend)
        if not source.settle(fold, held):
            raise _Behind
        fold.finish()
        shadow.suspect(view, sorted(fold.touched or ()))
        if wish.mend:
            writing.exclude_requests(view)
            swap.lock_suspects(view)
        report = Comparison(view, fold.conn, coverage, wish).judge(Report(source.name))
        if not wish.mend:
            return Done(report)
        _require_sure(job, report)
        applied = _write(job, coverage, report) if report.drift else None
        source.hand_over(view, held, wrote=applied is not None, whole=not wish.only)
        return Done(report, applied)


def _require_sure(job: _Job, report: Report) -> None:
    """Raises TooMuch where much of the view would go: a wrong topic looks like that, and a log that began anew."""
    deleted = report.kinds[Kind.UNEXPECTED]
    if deleted <= _DELETED_UNASKED or job.wish.sure:
        return
    rows = shadow.rows_of_view(job.view)
    if deleted > rows * _SHARE_DELETED_UNASKED:
        raise TooMuch(
            f"{deleted:,} of {rows:,} rows would be deleted, since {job.source.name} does not have them; nothing was "
            "written. Look at `projector verify`, and at PROJECTOR_TOPIC; if that is what you want, say --yes"
        )


def _write(job: _Job, coverage: Coverage, report: Report) -> Applied:
    if not coverage.is_log:
        heal(job.view, job.fold.conn)
    applied = swap.apply(job.view, steps=coverage.steps)
    if applied.inserted != report.kinds[Kind.MISSING]:
        raise Contested("a delegation was inserted by another writer")
    if coverage.is_log:
        swap.apply_parked(job.view)
    else:
        swap.forget_parked(job.view)
    return applied
