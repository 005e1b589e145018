"""What `projector dead-letters` prints for people: the list with its reasons, and one dead letter with its field."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from projector.cli.output import cut, when
from projector.cli.terminal import paint, table, wrap
from projector.postgres.dead_letter_queries import DeadLetterSummary, LatestReason
from projector.postgres.queries import DeadLetterDetail
from projector.recordings.file import text_or_base64
from projector.texts import counted, escape
from projector.worker.dead_letters import without_values

MAX_COUNT = 100_000
"""Counts of a list end here: to count a million rows takes seconds."""
LATEST = 10_000
"""The number of dead letters that the summary counts: the latest."""
_REASONS = 10
_SHOWN_CHARACTERS = 10_000
_MAX_PRETTY_BYTES = 1_000_000


# --- the list


def print_list(
    letters: Sequence[DeadLetterSummary], reasons: Iterable[LatestReason], total: int, topic: str | None
) -> None:
    """Print how often each reason occurs, without the values that it quotes, then the latest ones.

    `topic`: the one that was selected; None for all.
    """
    counts: Counter[str] = Counter()
    for each in reasons:
        counts[without_values(each).replace("……", "…")] += each.letters
    number = counted(total, "dead letter") if total < MAX_COUNT else f"{MAX_COUNT:,} dead letters or more"
    where = "" if topic is None else f" of topic {escape(topic)}"
    by_reason = "" if total <= LATEST else f"; the latest {LATEST:,} by reason"
    print(paint(wrap(f"{number}{where}{by_reason}"), "strong"))
    for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_REASONS]:
        print(wrap(escape(reason), " " * 10, first=f"{count:8,}  "))
    if len(counts) > _REASONS:
        others = sum(counts.values()) - sum(count for _, count in counts.most_common(_REASONS))
        print(f"{others:8,}  with {counted(len(counts) - _REASONS, 'other reason')}")
    headings = ("failed at (UTC)", "topic", "partition", "offset", "reason")
    rows = [
        (when(letter.died_at), letter.topic, str(letter.partition), str(letter.offset), letter.reason)
        for letter in letters
    ]
    shown = [n for n in range(len(headings)) if topic is None or headings[n] != "topic"]
    print(f"\n{table([headings[n] for n in shown], [[row[n] for n in shown] for row in rows])}")
    if total > len(letters):
        print(f"\n{len(letters):,} of {number}: --limit shows more")


# --- one dead letter


def print_detail(letter: DeadLetterDetail, full: bool) -> None:
    """Print it. A value that is JSON has one line per field, and the wrong one is marked. `full`: as it came."""
    for name, text in (
        ("place", f"{letter.topic}, partition {letter.partition}, offset {letter.offset}"),
        ("recorded", when(letter.record_at) or "no time, or one that Postgres cannot hold"),
        ("failed", when(letter.died_at)),
        ("reason", letter.reason),
        ("field", letter.field or "none in particular"),
    ):
        print(paint(_labelled(name, escape(text)), "bad") if name == "reason" else _labelled(name, escape(text)))
    lines = None if full or len(letter.value) > _MAX_PRETTY_BYTES else marked(letter.value, letter.field)
    for name, content in (("key", letter.key), ("value", None if lines else letter.value)):
        if content is not None or name == "key":
            ((label, shown),) = text_or_base64(name, content).items()
            shown = "null" if shown is None else shown if full else cut(shown, _SHOWN_CHARACTERS)
            print(f"{label.replace('_', ' '):10} {escape(shown, keep=chr(10) + chr(9))}")
    if lines:
        print("value")
        text = cut("\n".join(lines), _SHOWN_CHARACTERS)
        for line in text.splitlines():
            print(paint(line, "bad") if line.startswith(">") else line)
    if not full:
        print(paint("--full prints the value as it came", "dim"))


def _labelled(name: str, text: str) -> str:
    return wrap(text, " " * 11, first=f"{name:10} ")


class _Object(list[tuple[str, object]]):
    """The fields of an object in their order, also if a name occurs twice."""


class _Raw(str):
    """A number as it came."""


def marked(value: bytes, field: str | None) -> list[str] | None:
    """The value as JSON, one line per field. `>` marks the field, or what contains it. None if it is not JSON."""
    try:
        content = json.loads(value, object_pairs_hook=_Object, parse_float=_Raw, parse_int=_Raw, parse_constant=_Raw)
    except (ValueError, RecursionError):
        return None
    lines = list(_lines(content, (), "  ", ""))
    wanted = field.split(".") if field else []
    # Of a row in an envelope, the field is the end of a longer path.
    found = [(_matched(path, wanted), -len(path)) for path, _ in lines]
    best = max(found)
    is_found = best[0] > 0
    return [f"{'>' if is_found and each == best else ' '}{line}" for each, (_, line) in zip(found, lines, strict=True)]


def _matched(path: tuple[str, ...], wanted: Sequence[str]) -> int:
    """How many parts of the wanted path this path ends with."""
    if "before" in path:
        return 0
    return next((n for n in range(len(wanted), 0, -1) if path[-n:] == tuple(wanted[:n])), 0)


def _lines(
    value: object, path: tuple[str, ...], indent: str, name: str, end: str = ""
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each line with the path of the field that begins there. `end`: a comma, except after the last one."""
    if not isinstance(value, list) or not value:
        yield path, f"{indent}{name}{'{}' if isinstance(value, _Object) else _json(value)}{end}"
        return
    is_object = isinstance(value, _Object)
    yield path, f"{indent}{name}{'{' if is_object else '['}"
    for number, each in enumerate(value, 1):
        key, content = each if is_object else ("", each)
        below, label = ((*path, key), f"{_json(key)}: ") if is_object else ((*path, ""), "")
        yield from _lines(content, below, f"{indent}  ", label, "," if number < len(value) else "")
    yield (), f"{indent}{'}' if is_object else ']'}{end}"


def _json(value: object) -> str:
    return str(value) if isinstance(value, _Raw) else escape(json.dumps(value, ensure_ascii=False))
