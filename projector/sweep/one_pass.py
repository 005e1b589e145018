"""One pass: scan the view, judge, ask the sink, and write."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

from projector.domain.overdue import (
    HEARD_WITHIN,
    InFlight,
    Leave,
    Rule,
    Thresholds,
    Verdict,
    brake_limit,
    judge,
    verdict,
)
from projector.postgres import sweep_candidates
from projector.postgres.connection import Connection
from projector.postgres.sweep_candidates import PAGE
from projector.postgres.sweep_truth import Checked, Found, Signs
from projector.settings import SweepSettings
from projector.sweep.report import Report, Skipped
from projector.sweep.sink import Sink
from projector.texts import counted, duration

_SHOWN_FUTURE = 20
_NOT_THERE = Checked(Found.REPEATED, None)
"""A verdict that was not inserted, and was not in the table when the statement began."""


Count = Callable[[str, Rule], object]
"""Is called with the kind of each finding (a name of `_NAMES`) and its rule."""
_NAMES = {Found.WRITTEN: "verdicts", Found.REPEATED: "repeated", Found.UNKNOWN: "unknown"}
_SPARED = "spared"


class Mode(NamedTuple):
    """`writes`: else it is a dry run. `anyway`: without the brake."""

    writes: bool = True
    anyway: bool = False


class Pass:
    """One pass over the view. `tick` is called between its statements, and may raise an error to end it.

    `count` is called at once: what a pass has written before an error counts too.
    """

    def __init__(
        self,
        view: Connection,
        sink: Sink,
        settings: SweepSettings,
        mode: Mode,
        tick: Callable[[], None],
        count: Count = lambda kind, rule: None,
    ) -> None:
        self._view, self._sink, self._settings, self._mode, self._tick = view, sink, settings, mode, tick
        self._count = count
        settle = timedelta(seconds=settings.sweep_settle_seconds if settings.sweep_sink == "topic" else 0)
        self._thresholds = Thresholds(
            timedelta(seconds=settings.stuck_after_seconds) + settle,
            timedelta(seconds=settings.deadline_grace_seconds) + settle,
            settings.never_heard,
        )
        self._now = sink.now()
        self.report = Report(judged_at=self._now)

    def run(self) -> Report:
        """Judge every candidate. Raises TruthAway, DatabaseUnavailable and BrokerUnavailable."""
        self.report.future, self.report.future_rows = sweep_candidates.future(
            self._view, now=self._now, limit=_SHOWN_FUTURE
        )
        self._fail_overdue()
        self._mark_silent()
        return self.report

    # --- deadlines

    def _fail_overdue(self) -> None:
        left = self._settings.sweep_max_failed
        for page in sweep_candidates.overdue(self._view, before=self._now - self._thresholds.grace):
            due = self._check(self._verdicts(page))
            while due and left:
                taken, due = due[:left], due[left:]
                left -= self._write(taken)
            if not left:
                self.report.is_capped = True
                return

    # --- silence

    def _mark_silent(self) -> None:
        signs = self._sink.signs(self._now, self._thresholds.stuck_after)
        is_dark = signs.latest_at is None or self._now - signs.latest_at >= self._thresholds.stuck_after
        speaking = sweep_candidates.speaking(self._view, now=self._now, since=self._now - HEARD_WITHIN)
        due = list(self._due(Signs(signs.latest_at, None) if is_dark else signs, speaking))
        limit = brake_limit(
            sum(speaking.values()),
            minimum=self._settings.sweep_brake_minimum,
            percent=self._settings.sweep_brake_percent,
        )
        if due and is_dark:
            self._hold(due, Skipped.NO_ACTIVITY, self._darkness(len(due)))
        elif len(due) > limit and not self._mode.anyway:
            self._hold(due, Skipped.BRAKED, _brake(len(due), limit, sum(speaking.values())))
        else:
            for start in range(0, len(due), PAGE):
                self._write(due[start : start + PAGE])

    def _due(self, signs: Signs, speaking: dict[str, int]) -> Iterator[Verdict]:
        for page in self._silent_pages(speaking):
            yield from self._check(self._verdicts(page, signs, speaking))

    def _silent_pages(self, speaking: dict[str, int]) -> Iterator[list[InFlight]]:
        before, rule = self._now - self._thresholds.stuck_after, self._thresholds.never_heard
        yield from sweep_candidates.silent(self._view, now=self._now, before=before)
        if rule != "skip":
            callees = list(speaking) if rule == "known" else None
            yield from sweep_candidates.never_heard(self._view, now=self._now, before=before, callees=callees)

    def _hold(self, due: Sequence[Verdict], reason: Skipped, sentence: str) -> None:
        self.report.held = len(due)
        self.report.skip(reason, sentence)

    def _darkness(self, due: int) -> str:
        threshold = duration(self._thresholds.stuck_after.total_seconds())
        return (
            f"held {counted(due, 'stuck verdict')}: no workspace gave a sign of life within {threshold}, so "
            "the platform itself may be down"
        )

    # --- both

    def _verdicts(
        self, page: Sequence[InFlight], signs: Signs | None = None, speaking: dict[str, int] | None = None
    ) -> list[Verdict]:
        """The verdicts about a page of candidates; the others are spared."""
        self.report.candidates += len(page)
        found = []
        for row in page:
            judgement = judge(
                row,
                self._thresholds,
                now=self._now,
                gap_ended_at=signs and signs.gap_ended_at,
                callee_speaks=row.callee_id in (speaking or ()),
            )
            if isinstance(judgement, Leave):
                self.report.spared += 1
                self._count(_SPARED, _rule(row, of_deadlines=signs is None))
            else:
                found.append(verdict(row, judgement, self._thresholds, judged_at=self._now))
        return found

    def _check(self, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Those that nothing speaks against, and that are new. The others are counted."""
        self._tick()
        due: list[Verdict] = []
        for each, (found, written_at) in zip(verdicts, self._sink.check(verdicts) if verdicts else (), strict=True):
            if found is Found.DUE:
                due.append(each)
                continue
            self._note(each, found)
            if found is Found.REPEATED and written_at is not None:
                self.report.repeated_since = min(self.report.repeated_since or written_at, written_at)
        return due

    def _write(self, verdicts: Sequence[Verdict]) -> int:
        """Write them, or keep them for the report of a dry run. Returns how many were written."""
        if not self._mode.writes:
            self.report.unwritten += verdicts
            return len(verdicts)
        self._tick()
        answers = self._sink.write(verdicts)
        for each, (found, _) in zip(verdicts, answers, strict=True):
            self._note(each, found)
        self._note_refused([each for each, answer in zip(verdicts, answers, strict=True) if answer == _NOT_THERE])
        return sum(found is Found.WRITTEN for found, _ in answers)

    def _note_refused(self, verdicts: Sequence[Verdict]) -> None:
        """Note those that the table did not let in, and that no other sweeper has written at the same time."""
        if verdicts and (count := sum(found is Found.DUE for found, _ in self._sink.check(verdicts))):
            refused = counted(count, "verdict")
            self.report.sentences.append(f"a trigger or a rule of activity_logs did not let {refused} in")

    def _note(self, each: Verdict, found: Found) -> None:
        self._count(_NAMES.get(found, _SPARED), each.rule)
        if found is Found.WRITTEN:
            self.report.written[each.status] += 1
        elif found is Found.REPEATED:
            self.report.repeated += 1
        elif found is Found.UNKNOWN:
            self.report.unknown += 1
        else:
            self.report.spared += 1


def _rule(row: InFlight, *, of_deadlines: bool) -> Rule:
    """The rule whose scan found a row."""
    if of_deadlines:
        return Rule.DEADLINE
    return Rule.NEVER_HEARD if row.last_heartbeat is None else Rule.SILENCE


def _brake(due: int, limit: int, in_flight: int) -> str:
    return (
        f"braked: {counted(due, 'delegation')} would be stuck, more than {limit:,} of the {in_flight:,} in flight "
        "whose callees send heartbeats, so none was written. If this is no fault of the platform or its feed, run "
        "`projector sweep --once --anyway`"
    )
