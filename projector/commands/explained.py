"""How an explanation looks on a terminal: a line a record, then both rows column by column, then the verdict."""

from datetime import datetime

from projector.commands.printing import columns, visible, when
from projector.explain import Looked, Report
from projector.explanation import Change, Entry
from projector.lifecycle import Delegation

_WIDE, _AROUND = 48, 16
_TOLD = {"status", "last_heartbeat", "result_preview", "error_detail"}
"""The columns that a record's line tells of: those that events move, their times aside."""


def print_report(report: Report) -> None:
    """The story, what is kept of it, both rows, and the verdict."""
    print(f"delegation {visible(report.delegation_id)}")
    for why in report.looked.widened:
        print(f"looked further than at first: {why}")
    print(_place(report.looked))
    _print_entries(report)
    _print_waiting(report)
    if report.folded or report.stored:
        print(f"\n{columns(('', 'column', 'as the log makes it', 'as it is stored'), _rows(report))}")
    if report.verdict.differences and len(report.looked.ranges) < report.looked.partitions:
        print("\nthe other partitions were not looked at: --everywhere does")
    print(f"\n{visible(report.verdict.sentence)}")


def _print_entries(report: Report) -> None:
    if not report.entries:
        print("\nno record is about it")
        return
    rows = [
        (f"{each.partition} {each.offset}", when(each.recorded_at), each.envelope or "", each.said, _ended(each))
        for each in report.entries
    ]
    print(f"\n{columns(('partition offset', 'recorded (UTC)', 'envelope', 'said', 'outcome'), rows)}")
    if len({(each.topic, each.partition) for each in report.entries}) > 1 and not report.looked.files:
        print("between partitions there is no order: these are by the records' timestamps")


def _ended(entry: Entry) -> str:
    """The outcome, what it means, and what it did to the row, on one line."""
    changes = ", ".join(
        _moved(change) for change in entry.changes if change.column in _TOLD and change.after is not None
    )
    waits = "" if entry.is_projected else "not projected yet, and then "
    return f"{waits}{entry.outcome}: {entry.sentence}" + (f"; {changes}" if changes else "")


def _moved(change: Change) -> str:
    before = "" if change.before is None else f"{_shown(change.before)} → "
    return f"{change.column} {before}{_shown(change.after)}"


def _print_waiting(report: Report) -> None:
    for each in report.parked:
        print(
            f"\nparked since {when(each.parked_at)}: {each.status or each.kind}, "
            f"from {visible(each.topic)} partition {each.partition} offset {each.offset}"
        )
    for letter in report.dead_letters:
        print(
            f"\ndead letter at {visible(letter.topic)} partition {letter.partition} offset {letter.offset}, never "
            f"projected: {visible(letter.reason)}\n  `projector dead-letters retry --topic {visible(letter.topic)} "
            f"{letter.partition} {letter.offset}` once the cause is mended"
        )


def _rows(report: Report) -> list[tuple[str, str, str, str]]:
    rows = []
    for column in Delegation._fields:
        folded, stored = _pair(*(getattr(row, column) if row else _NO_ROW for row in (report.folded, report.stored)))
        rows.append(("differs" if column in report.verdict.differences else "", column, folded, stored))
    return rows


_NO_ROW = "(no row)"


def _pair(folded: object, stored: object) -> tuple[str, str]:
    """Two values of a column, cut to where they differ if they are long."""
    one, other = _whole(folded), _whole(stored)
    start = 0
    if max(len(one), len(other)) > _WIDE:
        same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
        start = max(0, same - _AROUND) if one != other else 0
    return _cut(one, start), _cut(other, start)


def _shown(value: object) -> str:
    return _cut(_whole(value), 0)


def _whole(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else "" if value is None else str(value)


def _cut(text: str, start: int) -> str:
    end = start + _WIDE
    return ("…" if start else "") + text[start:end] + ("…" if len(text) > end else "")


def _place(looked: Looked) -> str:
    if looked.files:
        return f"looked at {', '.join(map(visible, looked.files))}: {looked.records:,} records"
    places = [
        f"partition {each}, offsets {span.beginning:,} to {span.end - 1:,}"
        for each, span in looked.ranges.items()
        if span.end > span.beginning
    ]
    everywhere = "all" if len(looked.ranges) == looked.partitions else f"{len(looked.ranges)}"
    if not places:
        return f"looked at {everywhere} of {looked.partitions} partitions, which hold no records"
    return f"looked at {'; '.join(places)}; {everywhere} of {looked.partitions} partitions, {looked.records:,} records"


def nowhere(looked: Looked) -> str:
    """Where a delegation that nobody knows was looked for."""
    further = "".join(f"; {why}" for why in looked.widened)
    return f"there is no row, nothing is parked, no dead letter mentions it; {_place(looked)}{further}"
