"""One comparison of view and shadow at exactly one position, and the repair in the same transaction."""

from typing import NamedTuple

from projector.domain.fold import translate_batch
from projector.errors import BrokerUnavailable, DatabaseUnavailable, ProjectorError, WriteConflict
from projector.postgres import erasing, write_batch
from projector.postgres.connection import Connection, snapshot, transaction
from projector.projection.batch import chunks
from projector.rebuild import candidates, order, repair, repeated, shadow
from projector.rebuild.comparison import Comparison, Options, Task, apply_parked
from projector.rebuild.drift import Coverage, DriftKind
from projector.rebuild.repair import Applied, Deletion
from projector.rebuild.report import DriftReport
from projector.rebuild.source import RebuildSource, ShadowProjector

_ATTEMPTS = 20


class PlanOutdated(Exception):
    """The repair would delete what no plan has shown: plan again."""


class _TailTooLong(Exception):
    """The rest of the log is long, and members would wait for it: fold it first without the lock."""


class _OrderUnread(Exception):
    """The order between partitions may explain a difference: read the source for it, without the lock."""


class Job(NamedTuple):
    """A run: the connection to the view, the shadow, the source, and what to do."""

    view: Connection
    projector: ShadowProjector
    source: RebuildSource
    options: Options
    every: int
    """One delegation in `every` is compared."""


def fold(job: Job) -> None:
    """Fold the records that the source has now, and wait until they are written."""
    job.source.fold(job.view, job.projector)
    job.projector.finish()


def find_candidates(job: Job, coverage: Coverage) -> int:
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
    erasing.erase_shadow(job.projector.conn)
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
    job.projector.touched = set()
    return uncovered


def attempt(job: Job, coverage: Coverage, task: Task) -> tuple[DriftReport, Applied | None]:
    """Compare at one position, and for a repair write; try again after a conflict or an outage.

    Raises PlanOutdated where a repair would delete what the plan has not shown.
    """
    for _ in range(_ATTEMPTS):
        try:
            return _compare_at_one_position(job, coverage, task)
        except WriteConflict:  # with a row that is no candidate yet: it may hold the key that another row needs
            fold(job)
            find_candidates(job, coverage)
        except DatabaseUnavailable:
            if job.view.closed or job.projector.conn.closed:
                raise
            fold(job)  # the connections are open: the wait for a lock of another session timed out
        except (BrokerUnavailable, _TailTooLong):
            fold(job)
        except _OrderUnread:
            _read_order(job)
    raise ProjectorError(
        f"could not compare the view at one position in {_ATTEMPTS} attempts, because it changes too fast: run the "
        "command again, it resumes this run"
    )


def _read_order(job: Job) -> None:
    """Collect the facts of the groups that need them; every further record of the source adds its own."""
    job.projector.reads_order = True
    while order.has_unread_groups(job.projector.conn):
        order.begin_read(job.projector.conn)
        for records in chunks(job.source.read_again(job.view), job.projector.limits):
            order.add_facts(job.projector.conn, translate_batch(records))


def _compare_at_one_position(job: Job, coverage: Coverage, task: Task) -> tuple[DriftReport, Applied | None]:
    """Bring view and shadow to one position, classify the candidates, and write the drift if this is a repair."""
    view, projector, source, options = job.view, job.projector, job.source, job.options
    is_repair = task is Task.REPAIR
    with transaction(view) if is_repair else snapshot(view):
        until = source.lock_positions(view, exclusive=is_repair)
        if not source.catch_up(projector, until):
            raise _TailTooLong
        coverage = source.coverage(view, coverage)
        projector.finish()
        touched = sorted(projector.touched or ())
        if touched:
            erasing.erase_shadow(projector.conn, touched)
        candidates.add(view, touched)
        if is_repair:
            write_batch.exclude_requests(view)
            repair.lock_candidates(view)
        report = _compare(job, coverage, task)
        if not is_repair:
            return report, None
        applied = _write(job, coverage, report) if report.drift or report.not_remembered else None
        source.release_positions(view, until, wrote=report.drift > 0, whole=not options.only)
        return report, applied


def _compare(job: Job, coverage: Coverage, task: Task) -> DriftReport:
    """Compare the candidates. Raises _OrderUnread or PlanOutdated."""
    ordered = job.source.has_total_order
    comparison = Comparison(
        job.view,
        job.projector.conn,
        coverage,
        job.options,
        has_total_order=ordered,
        verdicts=job.projector.verdicts or {},
    )
    report = comparison.compare(DriftReport(job.source.name), task)
    if order.has_unread_groups(job.projector.conn):
        raise _OrderUnread
    if not comparison.is_planned:
        raise PlanOutdated
    if coverage.is_log:
        report.not_remembered = repeated.count_missing(job.view, every=job.every, only=job.options.only)
    return report


def _write(job: Job, coverage: Coverage, report: DriftReport) -> Applied:
    view, deletion = job.view, Deletion(job.projector.token, job.source.name)
    if not coverage.is_log:
        apply_parked(view, job.projector.conn)
    inserted, updated, deleted = repair.write_rows(view, deletion, steps=coverage.steps)
    not_inserted, taken = repair.not_inserted(view)
    if taken or inserted + not_inserted != report.kinds[DriftKind.MISSING]:
        raise WriteConflict("a delegation was inserted by another writer")
    remembered, kept = 0, deleted
    if coverage.is_log:
        kept += repair.replace_parked(view, deletion)
        remembered = repeated.write(view, only=job.options.only)
    else:
        repair.delete_applied_parked(view)
    parked = report.kinds[DriftKind.PARKED]
    return Applied(inserted, updated, deleted, parked, remembered, kept, deletion.run_id)
