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

from projector.errors import BrokerUnavailable, DatabaseUnavailable, ProjectorError, WriteConflict
from projector.postgres import write_batch
from projector.postgres.connection import Connection, mapped_errors, snapshot, transaction
from projector.rebuild import candidates, repair, shadow
from projector.rebuild.comparison import Comparison, Options, apply_parked
from projector.rebuild.drift import Coverage, DriftKind, DriftReport
from projector.rebuild.repair import Applied
from projector.rebuild.shadow import JobStart
from projector.rebuild.source import RebuildSource, ShadowProjector, dump_coverage, load_coverage
from projector.settings import BatchLimits

_TRIES = 20
FEED_SECONDS = 1.0
FEED_LOOKS = 3
_DELETED_UNASKED = 10
_SHARE_DELETED_UNASKED = 0.1


class Result(NamedTuple):
    """What was found and, if it was wished for and there was drift, what was written."""

    report: DriftReport
    applied: Applied | None = None


class Progress:
    """Hears how it comes along; this one does not care."""

    def phase(self, name: str) -> None:
        """What begins now."""

    def folded(self, done: int, total: int) -> None:
        """How many records of how many are folded."""


class Busy(ProjectorError):
    """Somebody else is at it: try again when they are done."""


class TooManyDeletions(ProjectorError):
    """More would be deleted than anybody expects: ask."""


class _TailTooLong(Exception):
    """The view moved on so far that members would wait too long for the tail: fold again, without holding them up."""


class _Job(NamedTuple):
    view: Connection
    fold: ShadowProjector
    source: RebuildSource
    options: Options
    every: int
    """One delegation in how many is looked at."""


def reconcile(
    view: Connection,
    shadow_conn: Connection,
    source: RebuildSource,
    options: Options,
    *,
    limits: BatchLimits,
    progress: Progress | None = None,
) -> Result:
    """Compare the view with what the source says and, if wished for, mend it.

    `view` and `fold_in` are sessions on the view and on the shadow. Raises Busy where another verify or rebuild is
    under way, LogGap where the log cannot prove the view, BrokerAway and DatabaseAway; after the latter two, and after
    a crash, the same call goes on where the last one was.
    """
    progress = progress or Progress()
    with mapped_errors():
        left_behind = _acquire(view)
        every = 1 if options.sample is None else max(1, shadow.rows_of_view(view) // options.sample)
        sample = None if every == 1 else lambda delegation_id: candidates.sampled(delegation_id, every)
        job = _Job(
            view,
            ShadowProjector(shadow_conn, uuid4(), limits, sample=sample, progress=progress.folded),
            source,
            options,
            every,
        )
        begun = _begin(job, left_behind)
        progress.phase("folding")
        _fold(job)
        coverage = source.coverage(view, load_coverage(begun.coverage))
        progress.phase("comparing")
        uncovered = _find_candidates(job, coverage)
        progress.phase("mending" if options.repair else "looking again")
        _await_feed(job, coverage)
        done = _repair_or_report(job, coverage)
        done.report.records = job.fold.records
        done.report.uncovered = begun.carried_over + uncovered
        done.report.empty = source.is_empty()
        with transaction(view):
            shadow.empty(view)
            shadow.release(view)
        return done


def _acquire(view: Connection) -> str:
    """Be the only one; of what the shadow is that somebody left behind, if there is one."""
    if shadow.lock(view):
        return shadow.acquire(view, f"{socket.gethostname()}/{os.getpid()}")
    other = shadow.current_job(view)
    who = f"{other.owner}, since {other.since:%Y-%m-%d %H:%M:%S} UTC" if other else "somebody who is just done"
    raise Busy(f"another verify or rebuild is under way: {who}")


def _begin(job: _Job, left_behind: str) -> JobStart:
    """Go on with the shadow that is there, if it is of this very source and wish, or begin another."""
    view, source, drop = job.view, job.source, job.options.drop_uncovered
    uncovered = "dropped" if drop else "kept"
    act = "rebuild" if job.options.repair else "verify"
    name = f"{act} {source.name}; one in {job.every}; uncovered {uncovered}; version {version('delegations-projector')}"
    if left_behind == name and source.can_resume(view):
        return shadow.resume(view, job.fold.token)
    with transaction(view):
        shadow.empty(view)
    with transaction(view):
        coverage, carried_over = source.begin(view, job.fold.token, drop_uncovered=drop)
        begun = JobStart(dump_coverage(coverage), carried_over)
        shadow.begin(view, name, begun)
    return begun


def _fold(job: _Job) -> None:
    """Fold what the source has by now, and have it written."""
    job.source.fold(job.view, job.fold)
    job.fold.finish()


def _find_candidates(job: _Job, coverage: Coverage) -> int:
    """Note what differs by now, without a lock: whatever differs at one position is among it, or is touched later.

    How many rows the source does not cover.
    """
    if reason := shadow.refused(job.view):
        raise ProjectorError(
            f"the shadow would not take a record that the view's tables took, so the two cannot be compared: {reason}. "
            "Were the tables changed by hand? `projector migrate down --to 50` and `up` make the shadow anew"
        )
    drop = job.options.drop_uncovered
    with transaction(job.view):
        uncovered = candidates.add_differing(
            job.view,
            steps=coverage.steps,
            every=job.every,
            uncovered_before=None if drop else coverage.since,
            proves_absence=drop or coverage.proves_absence,
        )
        if coverage.is_log and job.every == 1:
            candidates.add_parked(job.view)
        if job.options.repair:
            repair.remember_large_rows(job.view)
    job.fold.touched = set()
    return uncovered


def _repair_or_report(job: _Job, coverage: Coverage) -> Result:
    """Look again as often as it takes until nobody else got in between."""
    for _ in range(_TRIES):
        try:
            return _look_again(job, coverage)
        except WriteConflict:  # by a row that nobody suspects yet, and that may hold the key of another one
            _fold(job)
            _find_candidates(job, coverage)
        except DatabaseUnavailable:  # or somebody holds a lock for long
            if job.view.closed or job.fold.conn.closed:
                raise
            _fold(job)
        except (BrokerUnavailable, _TailTooLong):
            _fold(job)
    raise ProjectorError(f"the view did not hold still in {_TRIES} tries: run it again, it goes on where it was")


def _await_feed(job: _Job, coverage: Coverage) -> None:
    """What the platform's table says already may still be on its way to the view: look again while drift goes down."""
    drift, looks = -1, 0
    while not coverage.steps and drift and looks < FEED_LOOKS:
        time.sleep(FEED_SECONDS if drift > 0 else 0)  # not before the first look
        before, drift = (
            drift,
            _look_again(job._replace(options=job.options._replace(repair=False)), coverage).report.drift,
        )
        looks = looks + 1 if drift == before else 0


def _look_again(job: _Job, coverage: Coverage) -> Result:
    """At one position of view and shadow, tell drift from the rest, and write it."""
    view, fold, source, options = job.view, job.fold, job.source, job.options
    with transaction(view) if options.repair else snapshot(view):
        held = source.lock_positions(view, exclusive=options.repair)
        if not source.catch_up(fold, held):
            raise _TailTooLong
        fold.finish()
        candidates.add(view, sorted(fold.touched or ()))
        if options.repair:
            write_batch.exclude_requests(view)
            repair.lock_candidates(view)
        report = Comparison(view, fold.conn, coverage, options).compare(DriftReport(source.name))
        if not options.repair:
            return Result(report)
        _require_confirmation(job, report)
        applied = _write(job, coverage, report) if report.drift else None
        source.release_positions(view, held, wrote=applied is not None, whole=not options.only)
        return Result(report, applied)


def _require_confirmation(job: _Job, report: DriftReport) -> None:
    """Raises TooMuch where much of the view would go: a wrong topic looks like that, and a log that began anew."""
    deleted = report.kinds[DriftKind.UNEXPECTED]
    if deleted <= _DELETED_UNASKED or job.options.confirmed:
        return
    rows = shadow.rows_of_view(job.view)
    if deleted > rows * _SHARE_DELETED_UNASKED:
        raise TooManyDeletions(
            f"{deleted:,} of {rows:,} rows would be deleted, since {job.source.name} does not have them; nothing was "
            "written. Look at `projector verify`, and at PROJECTOR_TOPIC; if that is what you want, say --yes"
        )


def _write(job: _Job, coverage: Coverage, report: DriftReport) -> Applied:
    if not coverage.is_log:
        apply_parked(job.view, job.fold.conn)
    applied = repair.apply(job.view, steps=coverage.steps)
    if applied.inserted != report.kinds[DriftKind.MISSING]:
        raise WriteConflict("a delegation was inserted by another writer")
    if coverage.is_log:
        repair.apply_parked(job.view)
    else:
        repair.forget_parked(job.view)
    return applied
