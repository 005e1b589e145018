"""What `projector explain` prints for people: the verdict, one line per record, and the row."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from projector.cli.output import when
from projector.cli.terminal import fit, paint, width, wrap
from projector.domain.lifecycle import Delegation
from projector.domain.outcomes import MEANING, Outcome
from projector.explain.report import Explanation, SearchedScope
from projector.explain.similar import Similar
from projector.explain.timeline import Change, Entry
from projector.explain.verdict import Agreement
from projector.texts import counted, escape, named

_GOOD = (Agreement.EQUAL,)
_BAD = (Agreement.DIFFERS, Agreement.MISSING, Agreement.DEAD_LETTER, Agreement.NOT_IN_LOG)
_EFFECTS = {"status": "", "result_preview": "result ", "error_detail": "error "}
"""The columns that the line of a record shows: those that events change, without their times."""
_TEXTS = ("task_preview", "result_preview", "error_detail")
_MAX_SAID = 26
_MIN_EFFECT = 10
_ELSEWHERE = 110
"""The length of a line that is no line of a terminal."""
_SHOWN_BEFORE_DIFFERENCE = 16
_JOINER = "\u200d"
"""It joins emoji to one, and controls nothing."""


class Options(NamedTuple):
    """`full`: texts as a whole. `verbose`: more about each record. `legend`: what the outcomes mean."""

    full: bool = False
    verbose: bool = False
    legend: bool = False


def print_report(report: Explanation, similar: Similar, options: Options) -> None:
    """Print the verdict and the advice, the records, parked events, dead letters, the row, and where was searched."""
    kind = report.verdict.kind
    level = "good" if kind in _GOOD else "bad" if kind in _BAD else "note"
    print(paint(wrap(escape(report.verdict.sentence)), level))
    if report.verdict.advice:
        print(wrap(escape(report.verdict.advice)))
    if similar.ids:
        print(wrap(f"similar ids: {', '.join(escape(named(each)) for each in similar.ids)}"))
    elif not similar.is_whole:
        print("not all ids were compared with this one: it takes more than a few seconds")
    _print_entries(report, options)
    _print_parked(report)
    _print_dead_letters(report)
    _print_row(report, options)
    print()
    for reason in report.scope.widened:
        print(paint(wrap(f"search widened: {reason}"), "dim"))
    print(paint(wrap(_searched(report.scope)), "dim"))


# --- records


def _print_entries(report: Explanation, options: Options) -> None:
    if not report.entries:
        print("\nno record is about it")
        return
    places = max(len(_place(entry)) for entry in report.entries)
    said = min(max(len(_said(entry)) for entry in report.entries), _MAX_SAID)
    outcomes = max(len(entry.outcome) for entry in report.entries)
    day = None
    for entry in report.entries:
        if day != (day := f"{entry.recorded_at:%Y-%m-%d} (UTC)" if entry.recorded_at else "without a time"):
            print(f"\n{day}")
        time = f"{entry.recorded_at:%H:%M:%S}" if entry.recorded_at else " " * 8
        _print_entry(f"  {time}  {_place(entry):{places}}  {fit(_said(entry), said):{said}}", entry, outcomes, options)
    if options.legend:
        print("\nwhat the outcomes mean")
        for outcome in dict.fromkeys(entry.outcome for entry in report.entries):
            print(wrap(f"{outcome}: {MEANING[outcome]}", "  "))
    if len({(entry.topic, entry.partition) for entry in report.entries}) > 1 and not report.scope.files:
        print(wrap("between partitions there is no order: these records are sorted by their timestamps"))


def _print_entry(start: str, entry: Entry, outcomes: int, options: Options) -> None:
    outcome = f"{entry.outcome:{outcomes}}"
    if len(start) + 2 + outcomes + _MIN_EFFECT > (width() or _ELSEWHERE):
        print(start.rstrip())
        start = " " * 4
    effect = "; ".join(_effects(entry))
    if not options.full:
        effect = fit(effect, max((width() or _ELSEWHERE) - len(start) - outcomes - 4, _MIN_EFFECT))
    painted = paint(outcome, "bad") if entry.outcome is Outcome.DEAD_LETTER else outcome
    print(f"{start}  {painted}  {effect}".rstrip())
    for hint in entry.hints:
        print(paint(wrap(escape(hint), " " * 4), "note"))
    if options.verbose:
        print(paint(wrap(escape(f"{entry.envelope or 'no envelope'}; {entry.sentence}"), " " * 4), "dim"))
    if entry.rests_on:
        print(paint(wrap(escape(entry.rests_on), " " * 4), "dim"))


def _place(entry: Entry) -> str:
    return f"{entry.partition}:{entry.offset}"


def _said(entry: Entry) -> str:
    return escape(entry.said.replace(", ", " "))


def _effects(entry: Entry) -> Iterator[str]:
    """What the record did to the row, and what is particular about it."""
    if not entry.is_projected:
        yield "not projected yet"
    for change in entry.changes:
        if change.column in _EFFECTS and change.after is not None:
            yield _EFFECTS[change.column] + _changed(change)
    if entry.detail:
        yield escape(entry.detail)


def _changed(change: Change) -> str:
    if change.column == "status":
        return str(change.after) if change.before is None else f"{change.before} → {change.after}"
    return f'"{_text(change.after)}"'


def _print_parked(report: Explanation) -> None:
    for event in report.parked:
        evidence = f" (a verdict; silent since {when(event.silent_since)})" if event.kind == "verdict" else ""
        print()
        print(
            wrap(
                f"parked since {when(event.parked_at)}: {event.status or event.kind}{evidence}, "
                f"from {escape(event.topic)} partition {event.partition} offset {event.offset}"
            )
        )


def _print_dead_letters(report: Explanation) -> None:
    for letter in report.dead_letters:
        print()
        print(
            wrap(
                f"dead letter at {escape(letter.topic)} partition {letter.partition} offset {letter.offset}, never "
                f"projected: {escape(letter.reason)}"
            )
        )


# --- the row


def _print_row(report: Explanation, options: Options) -> None:
    """The row once. Where the two differ, both values, as a diff."""
    folded, stored = report.folded, report.stored
    row = stored or folded
    if row is None:
        return
    if folded is None:
        print("\nrow in the view; the records make none")
    elif stored is None:
        print("\nrow that the records make; the view has none")
    elif not report.verdict.differences:
        print("\nrow in the view, and from the records")
    else:
        print("\nrow: - from the records, + in the view")
    for column in Delegation._fields:
        if folded is not None and stored is not None and column in report.verdict.differences:
            one, other = _pair(_text(getattr(folded, column)), _text(getattr(stored, column)), _room(options))
            print(paint(f"- {column:17}{one}".rstrip(), "bad"))
            print(paint(f"+ {column:17}{other}".rstrip(), "good"))
        else:
            value, label = _text(getattr(row, column)), f"  {column:17}"
            shown = label + fit(value, _room(options)) if column in _TEXTS else wrap(value, " " * 19, first=label)
            print(shown.rstrip())


def _room(options: Options) -> int:
    return 1 << 30 if options.full else max((width() or _ELSEWHERE) - 19, _MIN_EFFECT)


def _pair(one: str, other: str, room: int) -> tuple[str, str]:
    """Two values of a column. Long values are cut to the first difference."""
    if max(len(one), len(other)) <= room:
        return one, other
    same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = max(0, same - _SHOWN_BEFORE_DIFFERENCE)
    mark = "…" if start else ""
    return fit(mark + one[start:], room), fit(mark + other[start:], room)


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return "" if value is None else escape(str(value), keep=_JOINER)


def _searched(scope: SearchedScope) -> str:
    if scope.files:
        return f"searched {', '.join(map(escape, scope.files))}: {counted(scope.records, 'record')}"
    ranges = [
        f"partition {partition}, offsets {log_range.beginning:,} to {log_range.end - 1:,}"
        for partition, log_range in scope.ranges.items()
        if log_range.end > log_range.beginning
    ]
    count = "all" if len(scope.ranges) == scope.partitions else str(len(scope.ranges))
    if not ranges:
        return f"searched {count} of {scope.partitions} partitions, which hold no records"
    records = counted(scope.records, "record")
    return f"searched {'; '.join(ranges)}; {count} of {scope.partitions} partitions, {records}"
