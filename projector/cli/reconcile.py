"""The parts that `verify` and `rebuild` share: sessions, the source, and progress."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from projector.cli.output import progress_bar
from projector.errors import Misconfigured
from projector.kafka.reader import TopicReader, open_topic
from projector.postgres.connection import connect, open_view
from projector.postgres.write_batch import prepare
from projector.process.memory import tune_memory
from projector.rebuild import shadow
from projector.rebuild.comparison import Options
from projector.rebuild.from_activity_logs import FromActivityLogs
from projector.rebuild.from_recordings import FromRecordings
from projector.rebuild.from_topic import FromTopic
from projector.rebuild.reconcile import Progress, Result, reconcile
from projector.rebuild.report import DriftReport
from projector.rebuild.source import RebuildSource
from projector.settings import Settings

log = logging.getLogger(__name__)

TOPIC, ACTIVITY_LOGS = "topic", "activity-logs"
_TIMEOUTS = {"idle_in_transaction_timeout_ms": 120_000, "lock_timeout_ms": 10_000, "statement_timeout_ms": 0}
"""Statements take longer the larger the view is. They block no other session meanwhile."""
_LOG_INTERVAL_SECONDS = 10.0


def compare(
    settings: Settings,
    source_names: Sequence[str],
    options: Options,
    approve: Callable[[DriftReport], object] = lambda plan: None,
) -> Result:
    """Compare the view with the source. With `options.repair`, repair the view as `approve` accepts the plan."""
    tune_memory()
    patient = settings.model_copy(update=_TIMEOUTS)
    with ExitStack() as stack, _progress() as progress:
        view = stack.enter_context(open_view(patient, synchronous_commit=settings.synchronous_commit))
        shadow_conn = stack.enter_context(
            connect(patient, synchronous_commit=settings.synchronous_commit, schema=shadow.SCHEMA)
        )
        prepare(shadow_conn)
        source = _open_source(patient, list(source_names), options, stack)
        options = options._replace(grace=timedelta(seconds=settings.rebuild_grace_seconds))

        def approve_on_terminal(plan: DriftReport) -> None:
            with progress.paused():
                approve(plan)

        return reconcile(
            view, shadow_conn, source, options, limits=settings, approve=approve_on_terminal, progress=progress
        )


def _open_source(settings: Settings, names: list[str], options: Options, stack: ExitStack) -> RebuildSource:
    if names == [TOPIC]:
        whole = _open_topic(settings, stack)
        whole.warn_if_compacted()
        return FromTopic(whole, ahead=options.repair)
    # A repair moves the positions to agree with what it writes.
    topic = _open_topic(settings, stack) if options.repair else None
    if names == [ACTIVITY_LOGS]:
        _require_verdicts_in_table(settings, options)
        elsewhere = settings.activity_database_url.get_secret_value()
        platform = connect(settings, url_setting="activity_database_url" if elsewhere else "database_url")
        return FromActivityLogs(stack.enter_context(platform), topic)
    paths = [Path(name) for name in names]
    for path in paths:
        if path == Path("-"):
            raise Misconfigured("--from -: a source is read twice, and standard input only once. Save it into a file")
        if not path.is_file():
            raise Misconfigured(f"--from {path}: there is no such file; name {TOPIC}, {ACTIVITY_LOGS} or recordings")
    return FromRecordings(paths, topic)


def _require_verdicts_in_table(settings: Settings, options: Options) -> None:
    """Raise Misconfigured if a repair would lose verdicts: with this sink they are in the topic alone."""
    if options.repair and settings.sweep_sink == TOPIC:
        raise Misconfigured(
            "PROJECTOR_SWEEP_SINK=topic: verdicts are in the topic and not in the table activity_logs, so a rebuild "
            "from it would lose them. Use `projector rebuild` from the topic"
        )


def _open_topic(settings: Settings, stack: ExitStack) -> TopicReader:
    return stack.enter_context(open_topic(settings))


# --- progress


class _ReportedProgress(Progress):
    """Moves a bar on a terminal. Without a terminal it writes a log line every ten seconds."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None, records=0)
        self._phase = ""
        self._phase_started = self._logged_at = time.monotonic()

    def phase(self, name: str) -> None:
        self._phase = name
        self._phase_started = time.monotonic()
        self._bar.update(self._task, description=name)
        if self._bar.disable:
            log.info("%s", name)

    def folded(self, done: int, total: int) -> None:
        now = time.monotonic()
        rate = done / max(now - self._phase_started, 0.001)
        description = f"{self._phase}, {rate:,.0f}/s"
        self._bar.update(self._task, description=description, completed=done, total=total or None, records=done)
        if self._bar.disable and now - self._logged_at >= _LOG_INTERVAL_SECONDS:
            self._logged_at = now
            remaining = {"of": total, "eta_seconds": round((total - done) / rate)} if total and rate else {}
            log.info(self._phase, extra={"records": done, "records_per_second": round(rate), **remaining})

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Remove the bar, so that a question can be read."""
        if self._bar.disable:
            yield
            return
        self._bar.stop()
        yield
        self._bar.start()


@contextmanager
def _progress() -> Iterator[_ReportedProgress]:
    with progress_bar() as bar:
        yield _ReportedProgress(bar)
