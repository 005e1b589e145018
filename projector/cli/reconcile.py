"""The parts that `verify` and `rebuild` share: sessions, the source, progress, and the report."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from projector.cli.output import as_json, escape, progress_bar
from projector.errors import Misconfigured
from projector.kafka.reader import TopicReader, open_topic
from projector.postgres.connection import connect, open_view
from projector.postgres.write_batch import prepare
from projector.process.garbage_collector import tune_gc
from projector.rebuild import shadow
from projector.rebuild.comparison import Options
from projector.rebuild.drift import Classification, DriftKind, DriftReport, Example
from projector.rebuild.from_activity_logs import FromActivityLogs
from projector.rebuild.from_recordings import FromRecordings
from projector.rebuild.from_topic import FromTopic
from projector.rebuild.reconcile import Progress, Result, reconcile
from projector.rebuild.source import RebuildSource
from projector.settings import Settings

log = logging.getLogger(__name__)

TOPIC, ACTIVITY_LOGS = "topic", "activity-logs"
_TIMEOUTS = {"idle_in_transaction_timeout_ms": 120_000, "lock_timeout_ms": 10_000, "statement_timeout_ms": 0}
"""Statements take longer the larger the view is. They block no other session meanwhile."""
_LOG_INTERVAL_SECONDS = 10.0


def compare(settings: Settings, source_names: Sequence[str], options: Options) -> Result:
    """Compare the view with the source, and repair the view if `options.repair` is set."""
    tune_gc()
    patient = settings.model_copy(update=_TIMEOUTS)
    with ExitStack() as stack, _progress() as progress:
        view = stack.enter_context(open_view(patient, synchronous_commit=settings.synchronous_commit))
        shadow_conn = stack.enter_context(
            connect(patient, synchronous_commit=settings.synchronous_commit, schema=shadow.SCHEMA)
        )
        prepare(shadow_conn)
        source = _open_source(patient, list(source_names), options, stack)
        return reconcile(view, shadow_conn, source, options, limits=settings, progress=progress)


def _open_source(settings: Settings, names: list[str], options: Options, stack: ExitStack) -> RebuildSource:
    if names == [TOPIC]:
        whole = _open_topic(settings, stack)
        whole.warn_if_compacted()
        return FromTopic(whole, ahead=options.repair)
    # A repair moves the positions to agree with what it writes.
    topic = _open_topic(settings, stack) if options.repair else None
    if names == [ACTIVITY_LOGS]:
        platform = settings
        if settings.activity_database_url.get_secret_value():
            platform = settings.model_copy(update={"database_url": settings.activity_database_url})
        return FromActivityLogs(stack.enter_context(connect(platform)), topic)
    paths = [Path(name) for name in names]
    for path in paths:
        if not path.is_file():
            raise Misconfigured(f"--from {path}: there is no such file; name {TOPIC}, {ACTIVITY_LOGS} or recordings")
    return FromRecordings(paths, topic)


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
def _progress() -> Iterator[Progress]:
    with progress_bar() as bar:
        yield _ReportedProgress(bar)


# --- the report


class ReportJson(NamedTuple):
    """A report as `--json` prints it."""

    source: str
    records: int
    drift: int
    not_covered: int
    ahead: int
    kinds: dict[str, int]
    columns: dict[str, int]
    examples: list[dict[str, Any]]


def report_json(report: DriftReport) -> dict[str, Any]:
    """A report as a JSON object."""
    return as_json(
        ReportJson(
            source=report.source,
            records=report.records,
            drift=report.drift,
            not_covered=report.not_covered,
            ahead=report.classified[Classification.AHEAD],
            kinds={str(kind): report.kinds[kind] for kind in DriftKind},
            columns=dict(report.columns.most_common()),
            examples=[_example_json(example) for example in report.examples],
        )
    )


def _example_json(example: Example) -> dict[str, Any]:
    columns = {
        name: {"view": _json_value(in_view), "log": _json_value(in_log)}
        for name, (in_view, in_log) in example.columns.items()
    }
    return {"delegation_id": example.delegation_id, "kind": str(example.kind), "columns": columns}


def _json_value(value: object) -> object:
    return value if value is None or isinstance(value, int) else str(value)


_KIND_TEXTS = {
    DriftKind.MISSING: "missing from the view",
    DriftKind.UNEXPECTED: "in the view, and not in the source",
    DriftKind.DIFFERS: "with other values than in the source",
    DriftKind.PARKED: "with other events parked",
}
_MAX_WIDTH = 60


def print_report(report: DriftReport) -> None:
    """Print the counts and the examples."""
    print(f"compared with {report.source}: {report.records:,} records folded")
    for kind, text in _KIND_TEXTS.items():
        if report.kinds[kind]:
            print(f"{report.kinds[kind]:12,} {text}")
            for example in report.examples:
                if example.kind is kind:
                    print(f"{'':13}{escape(example.delegation_id)}: {_example_text(example)}")
    if report.columns:
        print("columns that differ: " + ", ".join(f"{name} {count:,}" for name, count in report.columns.most_common()))
    if report.not_covered:
        print(f"{report.not_covered:12,} not covered: the source lacks their history, they stay as they are")
    if ahead := report.classified[Classification.AHEAD]:
        print(f"{ahead:12,} ahead: they changed after the end of the source, and stay as they are")


def _example_text(example: Example) -> str:
    columns = example.columns.items()
    if example.kind is DriftKind.MISSING:
        return ", ".join(f"{name} {_cut(in_source)}" for name, (_, in_source) in columns)
    if example.kind is DriftKind.UNEXPECTED:
        return ", ".join(f"{name} {_cut(in_view)}" for name, (in_view, _) in columns)
    return "; ".join(
        f"{name} is {_cut(in_view)}, and {_cut(in_source)} in the source" for name, (in_view, in_source) in columns
    )


def _cut(value: object) -> str:
    text = "none" if value is None else escape(str(value))
    return text if len(text) <= _MAX_WIDTH else text[:_MAX_WIDTH] + "…"
