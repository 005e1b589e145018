"""A sweeper: its sessions with both databases, and its passes."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

from projector.errors import DatabaseUnavailable, ProjectorError
from projector.kafka.producer import Producer
from projector.postgres import queries, sweep_access, sweep_locks
from projector.postgres.connection import Connection, connect, open_view
from projector.postgres.login import UrlSetting
from projector.postgres.passes import Passes
from projector.settings import Settings
from projector.sweep import behind, sink
from projector.sweep.notes import notes
from projector.sweep.one_pass import Count, Mode, Pass
from projector.sweep.report import Report, Skipped
from projector.sweep.sink import Sink

_ACKNOWLEDGED_WITHIN_SECONDS = 20.0


class Sweeper:
    """Makes passes. Sessions are opened at the first pass, and again after an outage. Not thread-safe.

    `tick` is called every few seconds at most while a pass works, and may raise an error to end it.
    """

    def __init__(
        self,
        settings: Settings,
        mode: Mode,
        tick: Callable[[], None] = lambda: None,
        count: Count = lambda kind, rule: None,
    ) -> None:
        self._settings, self._mode, self._tick, self._count = settings, mode, tick, count
        self._opened = ExitStack()
        self._sessions: tuple[Connection, Sink] | None = None
        self.notes: list[str] = []
        self._passes = Passes("sweep")
        """What was found when the sessions were opened: sentences for a person."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the sessions. Their advisory locks end with them."""
        self._sessions = None
        self._opened.close()

    def sweep(self, *, once_per_interval: bool = False) -> Report:
        """Make a pass, unless another sweeper is in one; with `once_per_interval` also unless one has just made it.

        Raises TruthAway, DatabaseUnavailable and BrokerUnavailable, ProjectorError if a right is missing, and
        Misconfigured. The next call opens new sessions.
        """
        started = time.monotonic()
        try:
            view, truth = self._sessions or self._open()
            report = self._locked_pass(view, truth, once_per_interval=once_per_interval)
        except ProjectorError:
            self.close()
            raise
        report.seconds = time.monotonic() - started
        return report

    def _locked_pass(self, view: Connection, truth: Sink, *, once_per_interval: bool) -> Report:
        if not self._mode.writes:
            return self._pass(view, truth)
        interval = self._settings.sweep_interval_seconds
        if once_per_interval and not sweep_locks.try_interval(view, interval):
            return Report().skip(Skipped.LOCKED, "another sweeper has made the pass of this interval")
        if not sweep_locks.try_pass(view):
            return Report().skip(Skipped.LOCKED, "another sweeper is in its pass")
        try:
            return self._pass(view, truth)
        finally:
            self._unlock(view)

    def _unlock(self, view: Connection) -> None:
        """A lost session has lost its lock too."""
        try:
            sweep_locks.unlock_pass(view)
        except DatabaseUnavailable:
            self.close()

    def _pass(self, view: Connection, truth: Sink) -> Report:
        if sentence := behind.behind(view, self._settings, self._tick):
            report = Report().skip(Skipped.BEHIND, f"the view is behind the topic: {sentence}")
        else:
            report = Pass(view, truth, self._settings, self._mode, self._tick, self._count).run()
        if self._mode.writes:
            self._remember(view, report)
        return report

    def _remember(self, view: Connection, report: Report) -> None:
        started_at = report.judged_at or queries.clock(view)
        self._passes.remember(view, started_at=started_at, result=report.as_json())

    def _open(self) -> tuple[Connection, Sink]:
        settings = self._settings
        if settings.sweep_sink == "topic":
            view = self._opened.enter_context(open_view(settings))
            producer = Producer(settings, settings.topic, _ACKNOWLEDGED_WITHIN_SECONDS, idempotent=True)
            self._opened.callback(producer.close)
            self._sessions = view, sink.Topic(view, producer, settings)
        else:
            platform = self._open_truth()
            view = self._opened.enter_context(open_view(settings))
            self.notes = notes(view, platform)
            self._sessions = view, sink.ActivityLogs(platform)
        return self._sessions

    def _open_truth(self) -> Connection:
        elsewhere = self._settings.activity_database_url.get_secret_value()
        setting: UrlSetting = "activity_database_url" if elsewhere else "database_url"
        with sink.truth():
            platform = self._opened.enter_context(connect(self._settings, url_setting=setting))
            sweep_access.require_access(platform, writes=self._mode.writes)
        return platform
