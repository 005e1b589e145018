"""The report of `verify` and `rebuild`, for a person and as JSON."""

import sys
from typing import Any, NamedTuple, TextIO

from projector.cli.output import as_json
from projector.cli.terminal import wrap
from projector.rebuild.drift import Classification, DriftKind
from projector.rebuild.report import DriftReport, Example
from projector.texts import counted, escape, named, plural


class ReportJson(NamedTuple):
    """A report as `--json` prints it."""

    source: str
    records: int
    resumed: bool
    unreadable: int
    compared: int
    drift: int
    not_covered: int
    ahead: int
    pending_events: int
    order_not_told: int
    verdict_not_told: int
    not_remembered: int
    pruned: int
    kinds: dict[str, int]
    columns: dict[str, int]
    examples: list[dict[str, Any]]


def report_json(report: DriftReport) -> dict[str, Any]:
    """A report as a JSON object."""
    return as_json(
        ReportJson(
            source=report.source,
            records=report.totals.records,
            resumed=report.totals.is_resumed,
            unreadable=report.totals.unreadable,
            compared=report.totals.compared,
            drift=report.drift,
            not_covered=report.not_covered,
            ahead=report.classified[Classification.AHEAD],
            pending_events=report.classified[Classification.PENDING_EVENT],
            order_not_told=report.classified[Classification.ORDER_NOT_TOLD],
            verdict_not_told=report.classified[Classification.VERDICT_NOT_TOLD],
            not_remembered=report.not_remembered,
            pruned=report.totals.pruned,
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
    kind = example.kind if example.meaning is Classification.DRIFT else example.meaning
    return {"delegation_id": example.delegation_id, "kind": str(kind), "columns": columns}


def _json_value(value: object) -> object:
    return value if value is None or isinstance(value, int) else str(value)


_KIND_TEXTS = {
    DriftKind.MISSING: "missing from the view",
    DriftKind.UNEXPECTED: "in the view, and not in the source",
    DriftKind.DIFFERS: "with other values than in the source",
    DriftKind.PARKED: "with other events parked",
}
_OTHER_TEXTS = {
    Classification.PENDING_EVENT: "pending event: in the view, young, and not in the source yet; not repaired",
    Classification.ORDER_NOT_TOLD: "order not told: the records are in several partitions, and the source does not "
    "have the order between them; not repaired",
    Classification.VERDICT_NOT_TOLD: "verdict not told: the source does not show whether a verdict or another event "
    "came first; not repaired",
}
_MAX_WIDTH = 60


def print_report(report: DriftReport, file: TextIO | None = None) -> None:
    """Print the counts and the examples, by default to standard output."""
    print("\n".join(_lines(report)), file=file or sys.stdout, flush=True)


def _lines(report: DriftReport) -> list[str]:
    totals, drift = report.totals, Classification.DRIFT
    others = ", the others by an earlier run that did not finish" if totals.is_resumed else ""
    lines = [wrap(f"compared with {report.source}: {counted(totals.records, 'record')} folded{others}")]
    for kind, text in _KIND_TEXTS.items():
        if report.kinds[kind]:
            lines.append(_count(report.kinds[kind], text))
            lines += _examples([each for each in report.examples if (each.kind, each.meaning) == (kind, drift)])
    if report.columns:
        counts = (f"{name} {count:,}" for name, count in report.columns.most_common())
        lines.append(wrap("columns that differ: " + ", ".join(counts)))
    for meaning, text in _OTHER_TEXTS.items():
        if report.classified[meaning]:
            lines.append(_count(report.classified[meaning], text))
            lines += _examples([each for each in report.examples if each.meaning is meaning])
    ahead = report.classified[Classification.AHEAD]
    requests = plural(report.not_remembered, "repeated request")
    records = plural(totals.unreadable, "record")
    rest = {
        "not covered: the source lacks the history; not repaired": report.not_covered,
        "pruned: their records are passed over; no rebuild brings them back": totals.pruned,
        "ahead: changed after the end of the source; not repaired": ahead,
        f"{requests} not remembered yet; `projector rebuild` adds what is missing": report.not_remembered,
        f"{records} of the source could not be read": totals.unreadable,
    }
    return [*lines, *(_count(count, text) for text, count in rest.items() if count)]


def not_proved(report: DriftReport) -> str:
    """For what the view is not proved to equal the source, as a sentence after a blank; empty if for nothing."""
    classified = report.classified
    parts = [
        (report.totals.unreadable, "unreadable record", ""),
        (report.not_covered, "row", " not covered"),
        (classified[Classification.AHEAD], "row", " ahead of the source"),
        (classified[Classification.PENDING_EVENT], "pending event", ""),
        (classified[Classification.ORDER_NOT_TOLD], "delegation", " whose order is not told"),
        (classified[Classification.VERDICT_NOT_TOLD], "delegation", " with a verdict whose place is not told"),
    ]
    left_out = [counted(count, noun) + which for count, noun, which in parts if count]
    return f". This is not proved for {', '.join(left_out)}" if left_out else ""


def _count(count: int, text: str) -> str:
    return wrap(text, " " * 13, first=f"{count:12,} ")


def _examples(examples: list[Example]) -> list[str]:
    return [wrap(f"{escape(named(example.delegation_id))}: {_example_text(example)}", " " * 13) for example in examples]


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


def why_nothing_was_compared(report: DriftReport) -> str:
    """Why the source had nothing to compare the view with, as a sentence."""
    totals = report.totals
    if totals.is_empty:
        reason = "it is empty"
    elif totals.unreadable == totals.records > 0:
        reason = "none of its records could be read"
    else:
        reason = "it has no record about a delegation that was to be compared"
    return f"nothing was compared with {report.source}: {reason}. This proves nothing about the view"
