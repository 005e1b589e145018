"""`projector verify` and `projector rebuild`: fold a source into a shadow of the view, compare, and repair the drift.

Both run through the same phases (docs/decisions/0006 has the rules):

1. fold the source into the shadow, while the members continue;
2. collect the candidates, which may differ, without a lock;
3. compare the candidates again at exactly one position, still without a lock: this is the report, and the plan;
4. only `rebuild`: ask if rows are deleted; then compare once more and write the drift, in one transaction under the
   lock of the positions; then compare what was written.
"""

import os
import socket
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import NamedTuple
from uuid import uuid4

from projector.errors import NothingFound, ProjectorError
from projector.postgres.connection import Connection, mapped_errors, transaction
from projector.postgres.queries import triggers_and_rules
from projector.rebuild import candidates, counts, repair, shadow
from projector.rebuild.attempt import Job, PlanOutdated, attempt, find_candidates, fold
from projector.rebuild.comparison import Options, Task
from projector.rebuild.drift import Coverage
from projector.rebuild.repair import Applied
from projector.rebuild.report import DriftReport, Totals
from projector.rebuild.shadow import JobStart
from projector.rebuild.source import RebuildSource, ShadowProjector, dump_coverage, load_coverage
from projector.settings import BatchLimits

FEED_SECONDS = 1.0
FEED_CHECKS = 3


class Result(NamedTuple):
    """The differences that were found, and what was written; None where nothing was to be written.

    `remaining`: the comparison after the repair, if rows were written. `triggers`: the triggers and rules of the table,
    if rows differ again.
    """

    report: DriftReport
    applied: Applied | None = None
    remaining: DriftReport | None = None
    triggers: Sequence[str] = ()

    @property
    def written(self) -> tuple[int, int, int] | None:
        """How many rows were inserted, updated and deleted; None where nothing was to be written."""
        return self.applied and (self.applied.inserted, self.applied.updated, self.applied.deleted)


Approve = Callable[[DriftReport], object]
"""Gets the plan before a repair writes anything. It raises an error to refuse."""


class Progress:
    """Receives the progress of a run. This one ignores it."""

    def phase(self, name: str) -> None:
        """The phase `name` begins."""

    def folded(self, done: int, total: int) -> None:
        """`done` records of `total` are folded; `total` is 0 where it is unknown."""


class Busy(ProjectorError):
    """Another command holds the shadow: a verify, rebuild, prune or erase. Try again when it has ended."""


def reconcile(
    view: Connection,
    shadow_conn: Connection,
    source: RebuildSource,
    options: Options,
    *,
    limits: BatchLimits,
    approve: Approve = lambda plan: None,
    progress: Progress | None = None,
) -> Result:
    """Compare the view with the source and, with `options.repair`, repair the drift.

    `view` and `shadow_conn` are connections to the view and to the shadow. `approve` gets each plan; nothing is
    deleted that no plan has shown.

    Raises Busy where another command holds the shadow, LogGap where the log lacks records of the view,
    BrokerUnavailable and DatabaseUnavailable. After the last two, and after a crash, the same call resumes the
    interrupted one.
    """
    progress = progress or Progress()
    with mapped_errors():
        require_free(view)
        interrupted = shadow.acquire(view, f"{socket.gethostname()}/{os.getpid()}")
        every = 1 if options.sample is None else max(1, counts.count_view_rows(view) // options.sample)
        sample = None if every == 1 else lambda delegation_id: candidates.in_sample(delegation_id, every)
        projector = ShadowProjector(shadow_conn, uuid4(), limits, sample=sample, progress=progress.folded)
        result = _run(Job(view, projector, source, options, every), interrupted, approve, progress)
        with transaction(view):
            shadow.truncate(view)
            shadow.release(view)
        return result


def _run(job: Job, interrupted: str, approve: Approve, progress: Progress) -> Result:
    """Run the phases; `interrupted` names the job whose shadow is still there."""
    start, is_resumed = _begin(job, interrupted)
    progress.phase("folding")
    fold(job)
    coverage = job.source.coverage(job.view, load_coverage(start.coverage))
    _require_known(job)
    progress.phase("comparing")
    uncovered = start.carried_over + find_candidates(job, coverage)
    progress.phase("checking again")
    _await_feed(job, coverage)
    report, _ = attempt(job, coverage, Task.PLAN if job.options.repair else Task.REPORT)
    report.totals = _totals(job, report, uncovered, is_resumed=is_resumed)
    if not job.options.repair:
        return Result(report)
    return _repair(job, coverage, report, approve, progress)


def _repair(job: Job, coverage: Coverage, plan: DriftReport, approve: Approve, progress: Progress) -> Result:
    """Ask, write, and look again. A plan that lacks a deletion by now is made and shown again."""
    totals = plan.totals
    while True:
        if plan.drift:
            approve(plan)
        progress.phase("repairing")
        with transaction(job.view):
            repair.copy_large_rows(job.view)
        try:
            report, applied = attempt(job, coverage, Task.REPAIR)
            break
        except PlanOutdated:
            plan, _ = attempt(job, coverage, Task.PLAN)
            plan.totals = totals._replace(view_rows=counts.count_view_rows(job.view))
    report.totals = totals
    if applied is None:
        return Result(report)
    progress.phase("comparing what was written")
    remaining, _ = attempt(job, coverage, Task.REPORT)
    return Result(report, applied, remaining, triggers_and_rules(job.view) if remaining.drift else ())


def _totals(job: Job, report: DriftReport, uncovered: int, *, is_resumed: bool) -> Totals:
    return Totals(
        records=job.projector.records,
        is_resumed=is_resumed,
        compared=counts.count_delegations(job.view, every=job.every, only=job.options.only),
        unreadable=counts.count_dead_letters(job.view) + job.projector.unreadable,
        uncovered=uncovered,
        view_rows=counts.count_view_rows(job.view) if report.deletes else 0,
        pruned=counts.count_pruned(job.view),
        is_empty=job.source.is_empty(),
    )


def _require_known(job: Job) -> None:
    """Raise NothingFound if a delegation that was named is nowhere: it is a typing error."""
    if unknown := counts.unknown(job.view, job.options.only):
        raise NothingFound(
            f"--only {', '.join(unknown)}: neither the view nor {job.source.name} has such a delegation; nothing was "
            "written. Compare the ids character by character. One that was pruned is in neither"
        )


def require_free(view: Connection) -> None:
    """Lock the shadow until the connection closes. Raises Busy."""
    if shadow.lock(view):
        return
    other = shadow.current_job(view)
    owner = f": {other.owner}, since {other.since:%Y-%m-%d %H:%M:%S} UTC" if other else ""
    raise Busy(f"another verify, rebuild, prune or erase is running{owner}; wait until it ends, or stop it")


def _begin(job: Job, interrupted: str) -> tuple[JobStart, bool]:
    """Resume the interrupted job if it had this source and these options; else begin with an empty shadow.

    Also returns whether it is resumed.
    """
    view, source, drop = job.view, job.source, job.options.drop_uncovered
    uncovered = "dropped" if drop else "kept"
    act = "rebuild" if job.options.repair else "verify"
    name = f"{act} {source.name}; one in {job.every}; uncovered {uncovered}; version {version('delegations-projector')}"
    if interrupted == name and source.can_resume(view):
        return shadow.resume(view, job.projector.token), True
    with transaction(view):
        shadow.truncate(view)
    with transaction(view):
        coverage, carried_over = source.begin(view, job.projector.token, drop_uncovered=drop)
        start = JobStart(dump_coverage(coverage), carried_over)
        shadow.begin(view, name, start)
    return start, False


def _await_feed(job: Job, coverage: Coverage) -> None:
    """Wait for a change feed: events that are in the platform's table may not have reached the view yet.

    Compare until there is no drift, or until it was the same in FEED_CHECKS comparisons one after the other.
    """
    drift, checks = -1, 0
    while not coverage.steps and drift and checks < FEED_CHECKS:
        time.sleep(FEED_SECONDS if drift > 0 else 0)  # not before the first comparison
        before, drift = drift, attempt(job, coverage, Task.REPORT)[0].drift
        checks = checks + 1 if drift == before else 0
