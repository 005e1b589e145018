"""The loop of `projector sweep`: a pass per interval until a signal. It waits out every outage."""

import logging
import time
from collections.abc import Callable
from datetime import datetime

from projector.domain.overdue import Rule
from projector.errors import Misconfigured, ProjectorError, TruthAway
from projector.process.shutdown import Shutdown
from projector.settings import Settings
from projector.sweep.one_pass import Mode
from projector.sweep.report import Report, Skipped
from projector.sweep.sweeper import Sweeper
from projector.worker.health import Health
from projector.worker.http import serving
from projector.worker.metrics import Part, State

log = logging.getLogger(__name__)

_REPORT_SECONDS = 1.0
_UNCONFIRMED_SECONDS = 600
_TROUBLE = frozenset({Skipped.BEHIND, Skipped.BRAKED, Skipped.NO_ACTIVITY})
"""What a person must look at."""


class _Stopped(Exception):
    """A signal came in the middle of a pass. The next pass of any sweeper does what is left."""


def run(settings: Settings, on_report: Callable[[Report], object] = lambda report: None) -> int:
    """Sweep until a signal. Returns the exit code 0. Raises Misconfigured, which waiting does not repair."""
    return _Loop(settings, on_report).run()


class _Loop:
    def __init__(self, settings: Settings, on_report: Callable[[Report], object]) -> None:
        self._settings, self._on_report = settings, on_report
        self._shutdown = Shutdown(settings.stop_within_seconds)
        self._health = Health(settings.health_file)
        self._meters = self._health.meters
        self._meters.begin(Part.SWEEP)
        self._meters.set("sweep_interval_seconds", settings.sweep_interval_seconds)
        self._state, self._is_healthy = "sweeping", True
        self._reported_at = 0.0

    def run(self) -> int:
        log.info("sweeper starting", extra={"interval_seconds": self._settings.sweep_interval_seconds})
        state = "stopped"
        with (
            self._shutdown.listening(),
            serving(self._settings.http_address, lambda: {"sweeper": self._health.latest}),
            Sweeper(self._settings, Mode(), self._tick, self._count) as sweeper,
        ):
            try:
                while not self._shutdown.requested:
                    self._one_interval(sweeper)
            except Exception as error:
                state = f"stopped: {error}"
                raise
            finally:
                self._shutdown.begin_grace()
                self._health.report(healthy=False, state=state, kind=State.STOPPED)
        self._shutdown.completed()
        log.info("sweeper stopped")
        return 0

    def _one_interval(self, sweeper: Sweeper) -> None:
        next_at = time.monotonic() + self._settings.sweep_interval_seconds
        try:
            self._note(sweeper.sweep(once_per_interval=True), sweeper)
        except _Stopped:
            return
        except Misconfigured:
            raise
        except ProjectorError as error:
            self._state, self._is_healthy = f"no pass: {error}", False
            reason = Skipped.TRUTH_AWAY if isinstance(error, TruthAway) else "unavailable"
            self._meters.add("sweep_skipped_total", str(reason))
            log.warning("no pass", extra={"reason": str(error)})
        while not self._shutdown.requested and time.monotonic() < next_at:
            self._report()
            self._shutdown.sleep(min(_REPORT_SECONDS, next_at - time.monotonic()))

    def _note(self, report: Report, sweeper: Sweeper) -> None:
        for sentence in sweeper.notes:
            log.warning("activity_logs is not as the sweeper needs it", extra={"reason": sentence})
        sweeper.notes = []
        self._state, self._is_healthy = "sweeping", True
        self._measure(report)
        if report.skipped is Skipped.LOCKED:
            log.debug("no pass", extra={"reason": report.sentences[0]})
            return
        if report.skipped in _TROUBLE:
            self._state = "; ".join(report.sentences)
        self._on_report(report)
        _log(report)

    def _count(self, kind: str, rule: Rule) -> None:
        self._meters.add(f"sweep_{kind}_total", str(rule))

    def _measure(self, report: Report) -> None:
        if report.skipped:
            self._meters.add("sweep_skipped_total", str(report.skipped))
        self._meters.add("sweep_held_total", by=report.held)
        if report.judged_at:
            self._meters.set("sweep_last_pass_timestamp_seconds", time.time())
            self._meters.set("sweep_unconfirmed_seconds", _age_seconds(report.repeated_since, report.judged_at))

    def _tick(self) -> None:
        if self._shutdown.requested:
            raise _Stopped
        self._report()

    def _report(self) -> None:
        if time.monotonic() - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = time.monotonic()
            self._health.report(healthy=self._is_healthy, state=self._state)


def _log(report: Report) -> None:
    unconfirmed = _age_seconds(report.repeated_since, report.judged_at)
    fields = {**report.as_json(), "unconfirmed_seconds": round(unconfirmed)}
    log.log(logging.WARNING if report.skipped else logging.INFO, "swept", extra=fields)
    for sentence in report.sentences:
        log.warning("not all was judged", extra={"reason": sentence})
    if unconfirmed > _UNCONFIRMED_SECONDS:
        log.warning(
            "verdicts are not projected: the change feed loses them, or stands still",
            extra={"verdicts": report.repeated, "oldest_seconds": round(unconfirmed)},
        )


def _age_seconds(since: datetime | None, now: datetime | None) -> float:
    return (now - since).total_seconds() if since and now else 0.0
