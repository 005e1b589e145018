"""The demo's end: what the producer had acknowledged, judged by independent code, against all that the tables hold."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from testbed.demo.watch import Watch
from testbed.oracle import Expected, Oracle, differences, stored_rows
from testbed.recording import AcknowledgedRecord

T = TypeVar("T")

NOT_OUTCOMES = {"time", "level", "logger", "message", "seconds", "records"}


class Told(NamedTuple):
    """What one projector said in its log: where it took each partition up, and how the records ended."""

    taken_up: dict[int, int]
    outcomes: Counter[str]


class Judged(NamedTuple):
    """What must be true; `outcomes` of the records from the second projector's first ones on are told apart."""

    verdict: Expected
    since: Counter[str]


def read_log(log: Path) -> Told:
    """The JSON log of a projector, up to the last line that it could write."""
    told = Told({}, Counter())
    for line in log.read_text(errors="replace").splitlines():
        try:
            fields = json.loads(line)
        except ValueError:  # torn by the kill, or not the projector's own
            continue
        if fields["message"] == "partition claimed":
            told.taken_up.setdefault(fields["partition"], fields["offset"])
        elif fields["message"] in ("summary", "stopped"):
            told.outcomes.update({name: count for name, count in fields.items() if name not in NOT_OUTCOMES})
    return told


def judge_since(books: Iterable[AcknowledgedRecord], taken_up: Mapping[int, int]) -> Judged:
    """Fold all that was acknowledged, and count apart what stands at or after these offsets."""
    judge, since = Oracle(), Counter[str]()
    for record in sorted(books, key=lambda record: (record.partition, record.offset)):
        outcome = judge.see(record)
        if record.offset >= taken_up.get(record.partition, 0):
            since[outcome] += 1
    return Judged(judge.verdict(), since)


def compare(books: Sequence[AcknowledgedRecord], judged: Judged, watch: Watch, second: Told) -> list[str]:
    """One sentence for each difference between the log and what the projector made of it."""
    verdict = judged.verdict
    dead = {(letter.partition, letter.offset) for letter in verdict.dead_letters}
    return [
        *_unequal("the log of partition", "records", Counter(record.partition for record in books), watch.ends()),
        *_unequal("the position of partition", "records", watch.ends(), watch.positions()),
        *differences(verdict.rows, stored_rows(watch.conn)),
        *_unequal("the parked events of", "events", verdict.parked, watch.parked()),
        *(f"record {record} is no dead letter" for record in sorted(dead - watch.dead_letters())),
        *(f"record {record} is a dead letter" for record in sorted(watch.dead_letters() - dead)),
        *_unequal("the second projector's count of", "records", judged.since, second.outcomes),
    ]


def _unequal(what: str, unit: str, expected: Mapping[T, int], found: Mapping[T, int]) -> list[str]:
    names = sorted(expected.keys() | found.keys(), key=str)
    return [
        f"{what} {name}: {found.get(name, 0)} {unit}, expected {expected.get(name, 0)}"
        for name in names
        if found.get(name, 0) != expected.get(name, 0)
    ]
