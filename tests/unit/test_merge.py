"""The merge of partitions: the order of events/README.md, section 4, whatever arrives first."""

import random
from collections.abc import Iterable, Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from projector.domain.merge import Merge, Merged
from projector.domain.positions import LogRange, Polled
from projector.recordings.file import RecordedRecord

Log = Mapping[int, Sequence[RecordedRecord]]

TIMES = st.one_of(st.integers(0, 6), st.sampled_from([None, -1]))


def log(times: Mapping[int, Sequence[int | None]]) -> Log:
    """Partition → its records, with these timestamps and every second offset."""
    return {
        partition: [RecordedRecord("t", partition, 2 * n, time, None, b"x" * 10) for n, time in enumerate(own)]
        for partition, own in times.items()
    }


logs = st.dictionaries(st.integers(0, 5), st.lists(TIMES, max_size=8), max_size=4).map(log)


def naive(log: Log, before: Mapping[int, int]) -> list[RecordedRecord]:
    """The order, record by record, in the words of the contract."""
    left = {partition: list(records) for partition, records in log.items()}
    last = {partition: before.get(partition, 0) for partition in log}
    merged = []
    while any(left.values()):
        heads = {}
        for partition, records in left.items():
            if records:
                time = records[0].timestamp
                heads[partition] = last[partition] if time is None or time < 0 else time
        partition = min(heads, key=lambda partition: (heads[partition], partition))
        last[partition] = heads[partition]
        merged.append(left[partition].pop(0))
    return merged


def pieces(log: Log, chance: random.Random) -> list[tuple[Polled, bool]]:
    """What the partitions return, in pieces and in any order between partitions; each ends one offset later."""
    left = {partition: (0, list(records)) for partition, records in log.items()}
    found = []
    while left:
        partition = chance.choice(list(left))
        start, records = left.pop(partition)
        size = chance.randint(0, len(records))
        part, rest = records[:size], records[size:]
        end = part[-1].offset + 2 if part else start
        if rest or chance.random() < 0.3:
            left[partition] = end, rest
        found.append((Polled("t", partition, start, part, end), partition not in left))
    return found


def merge(pieces: Iterable[tuple[Polled, bool]], log: Log, before: Mapping[int, int]) -> list[Merged]:
    """Take after each piece."""
    merge, taken = Merge(log, before), []
    for part, is_end in pieces:
        merge.add(part, is_end=is_end)
        taken.append(merge.take())
    return taken


chances = st.integers(0, 2**32).map(random.Random)
"""Seeds: to draw each random number would exceed what hypothesis generates for one example."""


@given(logs, st.dictionaries(st.integers(0, 5), st.integers(0, 6)), chances)
def test_order_is_that_of_the_contract(log: Log, before: dict[int, int], chance: random.Random) -> None:
    taken = merge(pieces(log, chance), log, before)
    assert [record for each in taken for record in each.records] == naive(log, before)


@given(logs, chances)
def test_parts_have_the_merged_records_and_are_contiguous(log: Log, chance: random.Random) -> None:
    found = pieces(log, chance)
    taken = merge(found, log, {})
    for each in taken:
        assert sorted(each.records, key=lambda r: (r.partition, r.offset)) == [
            record for part in each.parts for record in part.records
        ]
    for partition in log:
        parts = [part for each in taken for part in each.parts if part.partition == partition]
        assert [part.start for part in parts] == [0, *(part.next_offset for part in parts)][: len(parts)]
        ends = [part.next_offset for part, _ in found if part.partition == partition]
        assert max([0, *(part.next_offset for part in parts)]) == ends[-1]


def test_unknown_next_record_holds_others_back() -> None:
    own = log({0: [5, 9], 1: [7, 8]})
    merge = Merge([0, 1])
    merge.add(Polled("t", 0, 0, own[0], 4), is_end=True)
    assert merge.take() == Merged([], [])
    merge.add(Polled("t", 1, 0, own[1][:1], 2), is_end=False)
    assert [record.timestamp for record in merge.take().records] == [5, 7]
    assert merge.sizes() == {1: 0}
    merge.add(Polled("t", 1, 2, own[1][1:], 4), is_end=True)
    assert [record.timestamp for record in merge.take().records] == [8, 9]
    assert merge.sizes() == {}


def test_equal_timestamps_wait_only_for_lower_partitions() -> None:
    own = log({0: [5], 1: [5], 2: [5]})
    merge = Merge([0, 1, 2])
    merge.add(Polled("t", 0, 0, own[0], 2), is_end=True)
    merge.add(Polled("t", 1, 0, own[1], 2), is_end=False)
    merge.add(Polled("t", 2, 0, own[2], 2), is_end=True)
    assert [record.partition for record in merge.take().records] == [0, 1]


def test_size_is_that_of_the_records_left() -> None:
    own = log({0: [1, 2, 3], 1: [2]})
    merge = Merge([0, 1])
    merge.add(Polled("t", 0, 0, own[0], 6), is_end=False)
    whole = merge.sizes()[0]
    merge.add(Polled("t", 1, 0, own[1], 2), is_end=False)
    assert len(merge.take().records) == 3
    assert merge.sizes() == {0: whole // 3, 1: 0}


def test_holes_come_with_the_next_piece() -> None:
    own = log({0: [5], 1: [7]})
    merge = Merge([0, 1])
    hole = LogRange(0, 1)
    merge.add(Polled("t", 1, 0, own[1], 2, [hole]), is_end=True)
    assert merge.take().parts == [Polled("t", 1, 0, [], 0, [hole])]
    merge.add(Polled("t", 0, 0, own[0], 2), is_end=True)
    assert [part.holes for part in merge.take().parts] == [(), ()]
