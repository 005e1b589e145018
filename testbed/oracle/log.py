"""The order of a log with several partitions (events/README.md, section 4)."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar


class LogRecord(Protocol):
    """The fields of a record that the oracle reads; `timestamp` in ms."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int | None: ...
    @property
    def value(self) -> bytes | None: ...


R = TypeVar("R", bound=LogRecord)


def merge_partitions(records: Iterable[R]) -> Iterator[R]:
    """Yield records, given in any order, as one log: the smallest timestamp among the next records of the partitions.

    Of equal timestamps, the lower partition comes first. A record without a timestamp has that of the one before it.
    """
    partitions: defaultdict[int, list[R]] = defaultdict(list)
    for record in records:
        partitions[record.partition].append(record)
    timed = [_with_times(sorted(each, key=lambda record: record.offset)) for each in partitions.values()]
    for _, record in heapq.merge(*timed, key=lambda each: (each[0], each[1].partition)):
        yield record


def _with_times(partition: Iterable[R]) -> Iterator[tuple[int, R]]:
    time = 0
    for record in partition:
        if record.timestamp is not None and record.timestamp >= 0:
            time = record.timestamp
        yield time, record
