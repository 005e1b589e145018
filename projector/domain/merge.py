"""The order of the records of several partitions, for readers that begin at the start of each (events/README.md, 4).

Of the partitions that have a record left, the one whose next record has the smallest timestamp comes first, and of
equal ones the lower partition number. A record without a timestamp has that of the record before it, else 0.

As soon as a record is taken, all records after it in its partition with the same or a smaller timestamp follow. So this
order is the order of (the largest timestamp up to the record, partition, offset), which a sort finds.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, islice
from typing import NamedTuple

from projector.contract.envelope import Record
from projector.domain.positions import Polled

_RECORD_BYTES = 500
"""What a record takes in memory besides its value, about."""
_UNKNOWN = -1
"""The largest timestamp of a partition of which no record is known."""


class Merged(NamedTuple):
    """Records of several partitions in merged order, and the same records per partition, in order of partitions."""

    records: Sequence[Record]
    parts: Sequence[Polled]


class Merge:
    """Merges what several partitions return, piece by piece.

    A partition of which the next record is not known yet holds back every record that could come after that one.
    """

    def __init__(self, partitions: Iterable[int], before: Mapping[int, int] | None = None) -> None:
        """`before`: partition → the timestamp (ms) of the record before the first one, for a record without one."""
        known = before or {}
        self._queues = {partition: _Queue(known.get(partition, 0)) for partition in sorted(partitions)}

    def sizes(self) -> dict[int, int]:
        """Partition → about how many bytes of it are held, of partitions that have not ended."""
        return {partition: queue.size for partition, queue in self._queues.items() if not queue.has_ended}

    def add(self, part: Polled, *, is_end: bool) -> None:
        """Add what a partition returned. `is_end`: nothing follows."""
        self._queues[part.partition].add(part, is_end=is_end)

    def take(self) -> Merged:
        """Remove and return the records whose place is certain."""
        open_ends = ((queue.level, number) for number, queue in self._queues.items() if not queue.has_ended)
        bound = min(open_ends, default=None)
        counts = {number: _count(queue.keys, number, bound) for number, queue in self._queues.items() if queue.part}
        taken = [self._queues[number].take(count) for number, count in counts.items()]
        records = [record for part, _ in taken for record in part.records]
        if sum(bool(keys) for _, keys in taken) > 1:
            keys = [key for _, own in taken for key in own]
            # The sort is stable: of equal keys, the one of the lower partition stays first.
            records = [records[place] for place in sorted(range(len(keys)), key=keys.__getitem__)]
        return Merged(records, [part for part, _ in taken if part.next_offset > part.start or part.holes])


def _count(keys: Sequence[int], partition: int, bound: tuple[int, int] | None) -> int:
    """How many of these sorted keys come before every record that is not known yet.

    `bound`: the smallest key that such a record can have, and its partition; None if there is none.
    """
    if bound is None:
        return len(keys)
    level, number = bound
    return bisect_right(keys, level) if partition <= number else bisect_left(keys, level)


class _Queue:
    """The records of one partition that are not taken yet. `keys` has the largest timestamp up to each of them."""

    def __init__(self, before: int) -> None:
        self.part: Polled | None = None
        self.keys: list[int] = []
        self.level = _UNKNOWN
        self.size = 0
        self.has_ended = False
        self._before = before

    def add(self, part: Polled, *, is_end: bool) -> None:
        self.has_ended = is_end
        times = [_UNKNOWN if record.timestamp is None else record.timestamp for record in part.records]
        if times and self.level == _UNKNOWN and times[0] < 0:
            times[0] = self._before
        self.keys += islice(accumulate(times, max, initial=self.level), 1, None)
        self.level = self.keys[-1] if times else self.level
        self.size += _size(part.records)
        held = self.part
        if held is not None:
            part = part._replace(
                start=held.start, records=[*held.records, *part.records], holes=[*held.holes, *part.holes]
            )
        self.part = part

    def take(self, count: int) -> tuple[Polled, list[int]]:
        """The first `count` records and their keys. The last ones are returned with the offsets that follow them."""
        part = self.part
        assert part is not None  # noqa: S101 - the caller has looked
        if count == len(self.keys):
            keys, self.part, self.keys, self.size = self.keys, None, [], 0
            return part, keys
        records, keys = part.records[:count], self.keys[:count]
        next_offset = records[-1].offset + 1 if records else part.start
        if records:
            self.keys = self.keys[count:]
            self.size -= _size(records)
        self.part = part._replace(start=next_offset, records=part.records[count:] if count else part.records, holes=())
        return part._replace(records=records, next_offset=next_offset), keys


def _size(records: Sequence[Record]) -> int:
    return sum(_RECORD_BYTES + len(record.value or b"") for record in records)
