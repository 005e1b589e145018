"""`projector verify` and `projector rebuild`: fold a source into a shadow of the view, compare, and repair the drift.

Both run through the same phases (docs/decisions/0006 has the rules):

1. fold the source into the shadow, while the members go on;
2. collect the candidates, which may differ, without a lock;
3. in one transaction at exactly one position, compare the candidates again and write those that have drifted.
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

_ATTEMPTS = 20
FEED_SECONDS = 1.0
FEED_CHECKS = 3


class Result(NamedTuple):
    """The differences that were found, and the rows that were written; None where nothing was to be written."""

    report: DriftReport
    applied: Applied | None = None


class Progress:
    """Receives the progress of a run. This one ignores it."""

    def phase(self, name: str) -> None:
        """The phase `name` begins."""

    def folded(self, done: int, total: int) -> None:
        """`done` records of `total` are folded; `total` is 0 where it is unknown."""


class Busy(ProjectorError):
    """Another verify or rebuild is running: try again when it has ended."""


class _TailTooLong(Exception):
    """The rest of the log is long, and members would wait for it: fold it first without the lock."""


class _Job(NamedTuple):
    view: Connection
    projector: ShadowProjector
    source: RebuildSource
    options: Options
    every: int
    """One delegation in `every` is compared."""


def reconcile(
    view: Connection,
    shadow_conn: Connection,
    source: RebuildSource,
    options: Options,
    *,
    limits: BatchLimits,
    progress: Progress | None = None,
) -> Result:
    """Compare the view with the source and, with `options.repair`, repair the drift.

    `view` and `shadow_conn` are connections to the view and to the shadow.

    Raises Busy where another verify or rebuild is running, LogGap where the log lacks records of the view,
    TooManyDeletions, BrokerUnavailable and DatabaseUnavailable. After the last two, and after a crash, the same call
    resumes the interrupted one.
    """
    progress = progress or Progress()
    with mapped_errors():
        interrupted = _acquire(view)
        every = 1 if options.sample is None else max(1, shadow.count_view_rows(view) // options.sample)
        sample = None if every == 1 else lambda delegation_id: candidates.in_sample(delegation_id, every)
        projector = ShadowProjector(shadow_conn, uuid4(), limits, sample=sample, progress=progress.folded)
        result = _run(_Job(view, projector, source, options, every), interrupted, progress)
        with transaction(view):
            shadow.truncate(view)
            shadow.release(view)
        return result


def _run(job: _Job, interrupted: str, progress: Progress) -> Result:
    """Run the phases; `interrupted` names the job whose shadow is still there."""
    start = _begin(job, interrupted)
    progress.phase("folding")
    _fold(job)
    coverage = job.source.coverage(job.view, load_coverage(start.coverage))
    progress.phase("comparing")
    uncovered = _find_candidates(job, coverage)
    progress.phase("repairing" if job.options.repair else "checking again")
    _await_feed(job, coverage)
    result = _repair_or_report(job, coverage)
    result.report.records = job.projector.records
    result.report.uncovered = start.carried_over + uncovered
    result.report.empty = job.source.is_empty()
    return result


def _acquire(view: Connection) -> str:
    """Lock the shadow and own it; return the job that was interrupted, empty if there is none."""
    if shadow.lock(view):
        return shadow.acquire(view, f"{socket.gethostname()}/{os.getpid()}")
    other = shadow.current_job(view)
    owner = f": {other.owner}, since {other.since:%Y-%m-%d %H:%M:%S} UTC" if other else ""
    raise Busy(f"another verify or rebuild is running{owner}; wait until it ends, or stop it")


def _begin(job: _Job, interrupted: str) -> JobStart:
    """Resume the interrupted job if it had this source and these options; else begin with an empty shadow."""
    view, source, drop = job.view, job.source, job.options.drop_uncovered
    uncovered = "dropped" if drop else "kept"
    act = "rebuild" if job.options.repair else "verify"
    name = f"{act} {source.name}; one in {job.every}; uncovered {uncovered}; version {version('delegations-projector')}"
    if interrupted == name and source.can_resume(view):
        return shadow.resume(view, job.projector.token)
    with transaction(view):
        shadow.truncate(view)
    with transaction(view):
        coverage, carried_over = source.begin(view, job.projector.token, drop_uncovered=drop)
        start = JobStart(dump_coverage(coverage), carried_over)
        shadow.begin(view, name, start)
    return start


def _fold(job: _Job) -> None:
    """Fold the records that the source has now, and wait until they are written."""
    job.source.fold(job.view, job.projector)
    job.projector.finish()


def _find_candidates(job: _Job, coverage: Coverage) -> int:
    """Collect the delegations that differ now, without a lock; return how many rows the source does not cover.

    A delegation that differs at a later position either differs now, or a later record is about it. The latter are in
    `touched`, which is emptied here.
    """
    if reason := shadow.refusal(job.view):
        raise ProjectorError(
            f"Postgres refused a record in the shadow that it accepted in the view: {reason}. The two cannot be "
            "compared. Check whether the tables were changed by hand. `projector migrate recreate-shadow` creates the "
            "shadow again"
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
            repair.copy_large_rows(job.view)
    job.projector.touched = set()
    return uncovered


def _repair_or_report(job: _Job, coverage: Coverage) -> Result:
    """Compare at one position; try again after a conflict with another writer, or after an outage."""
    for _ in range(_ATTEMPTS):
        try:
            return _compare_at_one_position(job, coverage)
        except WriteConflict:  # with a row that is no candidate yet: it may hold the key that another row needs
            _fold(job)
            _find_candidates(job, coverage)
        except DatabaseUnavailable:
            if job.view.closed or job.projector.conn.closed:
                raise
            _fold(job)  # the connections are open: the wait for a lock of another session timed out
        except (BrokerUnavailable, _TailTooLong):
            _fold(job)
    raise ProjectorError(
        f"could not compare the view at one position in {_ATTEMPTS} attempts, because it changes too fast: run the "
        "command again, it resumes this run"
    )


def _await_feed(job: _Job, coverage: Coverage) -> None:
    """Wait for a change feed: events that are in the platform's table may not have reached the view yet.

    Compare until there is no drift, or until it was the same in FEED_CHECKS comparisons one after the other.
    """
    compare_only = job._replace(options=job.options._replace(repair=False))
    drift, checks = -1, 0
    while not coverage.steps and drift and checks < FEED_CHECKS:
        time.sleep(FEED_SECONDS if drift > 0 else 0)  # not before the first comparison
        before, drift = drift, _compare_at_one_position(compare_only, coverage).report.drift
        checks = checks + 1 if drift == before else 0


def _compare_at_one_position(job: _Job, coverage: Coverage) -> Result:
    """Bring view and shadow to one position, classify the candidates, and write the drift if this is a repair."""
    view, projector, source, options = job.view, job.projector, job.source, job.options
    with transaction(view) if options.repair else snapshot(view):
        until = source.lock_positions(view, exclusive=options.repair)
        if not source.catch_up(projector, until):
            raise _TailTooLong
        coverage = source.coverage(view, coverage)
        projector.finish()
        candidates.add(view, sorted(projector.touched or ()))
        if options.repair:
            write_batch.exclude_requests(view)
            repair.lock_candidates(view)
        report = Comparison(view, projector.conn, coverage, options).compare(DriftReport(source.name))
        if not options.repair:
            return Result(report)
        if not options.confirmed:
            repair.require_few_deletions(view, report.kinds[DriftKind.UNEXPECTED], source.name)
        applied = _write(job, coverage, report) if report.drift else None
        source.release_positions(view, until, wrote=applied is not None, whole=not options.only)
        return Result(report, applied)


def _write(job: _Job, coverage: Coverage, report: DriftReport) -> Applied:
    if not coverage.is_log:
        apply_parked(job.view, job.projector.conn)
    applied = repair.write_rows(job.view, steps=coverage.steps)
    if applied.inserted != report.kinds[DriftKind.MISSING]:
        raise WriteConflict("a delegation was inserted by another writer")
    if coverage.is_log:
        repair.replace_parked(job.view)
    else:
        repair.delete_applied_parked(job.view)
    return applied
