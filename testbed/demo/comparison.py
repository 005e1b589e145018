"""Compares the tables with the oracle's fold of all acknowledged records."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from testbed.demo.observer import Observer
from testbed.oracle import Expected, Oracle, differences, merge_partitions, stored_rows
from testbed.recording import AcknowledgedRecord

T = TypeVar("T")

OUTCOMES = {
    "inserted",
    "advanced",
    "heartbeat",
    "filled",
    "duplicate",
    "stale",
    "refused",
    "parked",
    "unrelated",
    "uncorrelated",
    "tombstone",
    "dead_letter",
}
"""The fields of a summary that count records. It has others."""


class ProjectorLog(NamedTuple):
    """What one projector logged: the offset of its first claim per partition, and its counts of outcomes."""

    claimed: dict[int, int]
    outcomes: Counter[str]


class Folded(NamedTuple):
    """The oracle's result; `outcomes_since` counts only records at or after the claims of the second projector."""

    expected: Expected
    outcomes_since: Counter[str]


def read_log(log: Path) -> ProjectorLog:
    """Read the JSON log of a projector up to its last complete line."""
    read = ProjectorLog({}, Counter())
    for line in log.read_text(errors="replace").splitlines():
        try:
            fields = json.loads(line)
        except ValueError:  # cut off by the kill, or not a log line of the projector
            continue
        if fields["message"] == "partition claimed":
            read.claimed.setdefault(fields["partition"], fields["offset"])
        elif fields["message"] in ("summary", "stopped"):
            read.outcomes.update({name: count for name, count in fields.items() if name in OUTCOMES})
    return read


def fold_since(records: Iterable[AcknowledgedRecord], claimed: Mapping[int, int]) -> Folded:
    """Fold all acknowledged records; count the outcomes at or after these offsets separately."""
    oracle, since = Oracle(), Counter[str]()
    for record in merge_partitions(records):
        outcome = oracle.apply(record)
        if record.offset >= claimed.get(record.partition, 0):
            since[outcome] += 1
    return Folded(oracle.expected(), since)


def compare(
    records: Sequence[AcknowledgedRecord], folded: Folded, observer: Observer, second: ProjectorLog
) -> list[str]:
    """Return one sentence per difference between the log and the result of the projector."""
    expected = folded.expected
    dead = {(letter.partition, letter.offset) for letter in expected.dead_letters}
    ends, stored = observer.end_offsets(), observer.dead_letters()
    return [
        *_unequal("the log of partition", "records", Counter(record.partition for record in records), ends),
        *_unequal("the position of partition", "records", ends, observer.positions()),
        *differences(expected.rows, stored_rows(observer.conn)),
        *_unequal("the parked events of", "events", expected.parked, observer.parked()),
        *(f"record {record} is no dead letter" for record in sorted(dead - stored)),
        *(f"record {record} is a dead letter" for record in sorted(stored - dead)),
        *_unequal("the second projector's count of", "records", folded.outcomes_since, second.outcomes),
    ]


def _unequal(name: str, unit: str, expected: Mapping[T, int], actual: Mapping[T, int]) -> list[str]:
    keys = sorted(expected.keys() | actual.keys(), key=str)
    return [
        f"{name} {key}: {actual.get(key, 0)} {unit}, expected {expected.get(key, 0)}"
        for key in keys
        if actual.get(key, 0) != expected.get(key, 0)
    ]


def unequal(name: str, expected: Mapping[str, object], actual: Mapping[str, object]) -> list[str]:
    """Return one sentence per delegation for which the two differ."""
    ids = sorted(expected.keys() | actual.keys())
    return [
        f"{each}: {name} is {actual.get(each)}, expected {expected.get(each)}"
        for each in ids
        if actual.get(each) != expected.get(each)
    ]
