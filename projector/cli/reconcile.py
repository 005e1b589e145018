"""What `verify` and `rebuild` share: from what source, in which sessions, how it comes along, and what was found."""

import argparse
import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from projector.cli.output import as_json, escape, progress_bar
from projector.errors import Misconfigured
from projector.kafka.reader import TopicReader, open_topic
from projector.postgres.connection import connect, open_view
from projector.postgres.write_batch import prepare
from projector.process import tune_gc
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
"""A comparison takes as long as the view is large. It blocks nobody."""
_LOG_SECONDS = 10.0


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the flags that both commands take."""
    parser.add_argument(
        "--from",
        dest="source",
        metavar="SOURCE",
        nargs="+",
        default=[TOPIC],
        help=f"{TOPIC} (the default: from the start of its log), {ACTIVITY_LOGS} (the platform's table), or recordings",
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON")


def compare(settings: Settings, arguments: argparse.Namespace, options: Options) -> Result:
    """Open the connections and the source, compare or repair, and close them again."""
    tune_gc()
    patient = settings.model_copy(update=_TIMEOUTS)
    with ExitStack() as opened, _watch() as progress:
        view = opened.enter_context(open_view(patient, synchronous_commit=settings.synchronous_commit))
        shadow_conn = opened.enter_context(
            connect(patient, synchronous_commit=settings.synchronous_commit, schema=shadow.SCHEMA)
        )
        prepare(shadow_conn)
        source = _source(patient, arguments.source, options, opened)
        return reconcile(view, shadow_conn, source, options, limits=settings, progress=progress)


def _source(settings: Settings, names: list[str], options: Options, opened: ExitStack) -> RebuildSource:
    if names == [TOPIC]:
        return FromTopic(_topic(settings, opened), ahead=options.repair)
    topic = _topic(settings, opened) if options.repair else None  # for the positions to agree with what is written
    if names == [ACTIVITY_LOGS]:
        platform = settings
        if settings.activity_database_url.get_secret_value():
            platform = settings.model_copy(update={"database_url": settings.activity_database_url})
        return FromActivityLogs(opened.enter_context(connect(platform)), topic)
    paths = [Path(name) for name in names]
    for path in paths:
        if not path.is_file():
            raise Misconfigured(
                f"--from {path}: there is no such file; what can be given is {TOPIC}, {ACTIVITY_LOGS} or recordings"
            )
    return FromRecordings(paths, topic)


def _topic(settings: Settings, opened: ExitStack) -> TopicReader:
    return opened.enter_context(open_topic(settings))


# --- how it comes along


class _ProgressBar(Progress):
    """Moves a bar where somebody looks, and says every ten seconds how far it is where nobody does."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None, records=0)
        self._name = ""
        self._began = self._said = time.monotonic()

    def phase(self, name: str) -> None:
        self._name = name
        self._began = time.monotonic()
        self._bar.update(self._task, description=name)
        if self._bar.disable:
            log.info("%s", name)

    def folded(self, done: int, total: int) -> None:
        now = time.monotonic()
        rate = done / max(now - self._began, 0.001)
        told = f"{self._name}, {rate:,.0f}/s"
        self._bar.update(self._task, description=told, completed=done, total=total or None, records=done)
        if self._bar.disable and now - self._said >= _LOG_SECONDS:
            self._said = now
            left = {"of": total, "eta_seconds": round((total - done) / rate)} if total and rate else {}
            log.info(self._name, extra={"records": done, "records_per_second": round(rate), **left})


@contextmanager
def _watch() -> Iterator[Progress]:
    with progress_bar() as bar:
        yield _ProgressBar(bar)


# --- what was found


class ReportJson(NamedTuple):
    """A report as JSON holds it."""

    source: str
    records: int
    drift: int
    not_covered: int
    ahead: int
    kinds: dict[str, int]
    columns: dict[str, int]
    examples: list[dict[str, Any]]


def report_json(report: DriftReport) -> dict[str, Any]:
    """A report for `--json`."""
    return as_json(
        ReportJson(
            source=report.source,
            records=report.records,
            drift=report.drift,
            not_covered=report.not_covered,
            ahead=report.classified[Classification.AHEAD],
            kinds={str(kind): report.kinds[kind] for kind in DriftKind},
            columns=dict(report.columns.most_common()),
            examples=[_example(each) for each in report.examples],
        )
    )


def _example(example: Example) -> dict[str, Any]:
    columns = {name: {"view": _text(ours), "log": _text(its)} for name, (ours, its) in example.columns.items()}
    return {"delegation_id": example.delegation_id, "kind": str(example.kind), "columns": columns}


def _text(value: object) -> object:
    return value if value is None or isinstance(value, int) else str(value)


_KINDS = {
    DriftKind.MISSING: "missing from the view",
    DriftKind.UNEXPECTED: "in the view, and not in the source",
    DriftKind.DIFFERS: "with other values than in the source",
    DriftKind.PARKED: "with other events parked",
}
_SHOWN = 60


def print_report(report: DriftReport) -> None:
    """Tell a person what was found."""
    print(f"compared with {report.source}: {report.records:,} records folded")
    for kind, words in _KINDS.items():
        if report.kinds[kind]:
            print(f"{report.kinds[kind]:12,} {words}")
            for example in report.examples:
                if example.kind is kind:
                    print(f"{'':13}{escape(example.delegation_id)}: {_told(example)}")
    if report.columns:
        print("columns that differ: " + ", ".join(f"{name} {count:,}" for name, count in report.columns.most_common()))
    if report.not_covered:
        print(f"{report.not_covered:12,} not covered: the source lacks their history, they stay as they are")
    if ahead := report.classified[Classification.AHEAD]:
        print(f"{ahead:12,} ahead: they changed after what the source tells, and stay as they are")


def _told(example: Example) -> str:
    told = example.columns.items()
    if example.kind is DriftKind.MISSING:
        return ", ".join(f"{name} {_cut(its)}" for name, (_, its) in told)
    if example.kind is DriftKind.UNEXPECTED:
        return ", ".join(f"{name} {_cut(ours)}" for name, (ours, _) in told)
    return "; ".join(f"{name} is {_cut(ours)}, and {_cut(its)} in the source" for name, (ours, its) in told)


def _cut(value: object) -> str:
    text = "none" if value is None else escape(str(value))
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
