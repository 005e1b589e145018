"""Batches that grow: however the polls and the limits cut the log, the same records are written, each once."""

import itertools
from collections.abc import Sequence

from builders import record
from hypothesis import given
from hypothesis import strategies as st
from rows import answer, delegate

from projector.contract.facts import NoEvent
from projector.contract.fields import recorded_at
from projector.domain.fold import DeadLetter, Passed, TranslatedRecord, by_kind, translate_each
from projector.domain.positions import Polled
from projector.projection.batch import by_partition
from projector.projection.gathering import Batch, Gathering
from projector.projection.limits import AdaptiveLimits
from projector.recordings.file import RecordedRecord
from projector.settings import BatchLimits

TOPIC = "activity-log"
VALUES = [delegate(0), answer(1, "completed"), {"activity_type": "llm_call"}, b"garbage", None]


def limited(records: int = 100, size: int = 1_000_000) -> AdaptiveLimits:
    return AdaptiveLimits(BatchLimits(batch_records=records, batch_bytes=size))


def polled(partition: int, start: int, *values: object, skipped: int = 0) -> Polled:
    """Records from offset `start`, and offsets without records after them."""
    records = [record(value, start + n, partition=partition) for n, value in enumerate(values)]
    return Polled(TOPIC, partition, start, records, start + len(records) + skipped)


def gathered(polls: Sequence[Sequence[Polled]], limits: AdaptiveLimits) -> list[Batch]:
    gathering = Gathering()
    batches: list[Batch] = []
    for parts in polls:
        batches += gathering.add(by_partition(parts), limits)
    return [*batches, *gathering.take()]


@st.composite
def logs(draw: st.DrawFn) -> list[list[Polled]]:
    """What one poll after the other returned, of up to three partitions."""
    ends = [draw(st.integers(0, 5)) for _ in range(3)]
    polls = []
    for _ in range(draw(st.integers(1, 5))):
        parts = []
        for partition in draw(st.sets(st.integers(0, 2))):
            values = draw(st.lists(st.sampled_from(VALUES), max_size=6))
            part = polled(partition, ends[partition], *values, skipped=draw(st.sampled_from([0, 0, 2])))
            ends[partition] = part.next_offset
            parts.append(part)
        polls.append(parts)
    return polls


@given(logs(), st.integers(1, 20), st.integers(1, 3_000))
def test_every_cut_has_all_records_once_within_the_limits(polls: list[list[Polled]], most: int, size: int) -> None:
    batches = gathered(polls, limited(most, size))
    in_order = [by_partition(parts).records for parts in polls]
    records = list(itertools.chain.from_iterable(in_order))
    assert [entry for batch in batches for entry in batch.entries] == translate_each(records)
    sizes = {(each.partition, each.offset): len(each.value or b"") for each in records}
    for batch in batches:
        places = [(entry.record.partition, entry.record.offset) for entry in batch.entries]
        assert len(places) <= most
        assert len(places) <= 1 or sum(sizes[place] for place in places) <= size
        assert batch.moves


@given(logs(), st.integers(1, 20))
def test_moves_are_contiguous_and_cover_exactly_the_records(polls: list[list[Polled]], most: int) -> None:
    batches = gathered(polls, limited(most))
    parts = [part for parts in polls for part in parts if part.next_offset > part.start]
    for partition in {part.partition for part in parts}:
        moves = [move for batch in batches for move in batch.moves if move.partition == partition]
        own = [part for part in parts if part.partition == partition]
        assert [move.start for move in moves[1:]] == [move.next_offset for move in moves[:-1]]
        assert (moves[0].start, moves[-1].next_offset) == (own[0].start, own[-1].next_offset)
    for batch in batches:
        for move in batch.moves:
            own_records = [each.record for each in batch.entries if each.record.partition == move.partition]
            assert all(move.start <= each.offset < move.next_offset for each in own_records)
            assert move.record_at == (recorded_at(own_records[-1].timestamp) if own_records else None)


@given(st.lists(st.sampled_from(VALUES), max_size=12), st.integers(0, 12))
def test_halves_of_a_batch_are_the_batch(values: list[object], at: int) -> None:
    entries = translate_each(polled(0, 0, *values).records)
    whole, halves = by_kind(entries), (by_kind(entries[:at]), by_kind(entries[at:]))
    assert halves[0].records + halves[1].records == whole.records
    assert halves[0].dead_letters + halves[1].dead_letters == whole.dead_letters
    assert halves[0].outcomes + halves[1].outcomes == whole.outcomes


def test_only_what_postgres_may_refuse_keeps_its_value() -> None:
    event, unrelated, garbage = translate_each(polled(0, 7, delegate(0), {"activity_type": "llm_call"}, b"{").records)
    assert isinstance(event, TranslatedRecord)
    assert isinstance(garbage, DeadLetter)
    assert (bool(event.record.value), garbage.record.value) == (True, b"{")
    assert unrelated == Passed(TOPIC, 0, 8, unrelated.record.timestamp, NoEvent.UNRELATED)


def test_several_polls_are_one_batch() -> None:
    polls = [[polled(0, 0, *VALUES), polled(1, 4, *VALUES)], [polled(0, 5, *VALUES, skipped=2)], [polled(1, 9)]]
    [batch] = gathered(polls, limited())
    assert [(move.partition, move.start, move.next_offset) for move in batch.moves] == [(0, 0, 12), (1, 4, 9)]
    assert len(batch.entries) == 15


def test_limits_that_shrink_end_the_batch_they_are_found_in() -> None:
    limits, gathering = limited(10), Gathering()
    assert list(gathering.add(by_partition([polled(0, 0, *VALUES)]), limits)) == []
    limits.too_slow(6, "a test")
    batches = [*gathering.add(by_partition([polled(0, 5, *VALUES)]), limits), *gathering.take()]
    assert [len(batch.entries) for batch in batches] == [5, 3, 2]


def test_partition_with_other_limits_has_a_batch_of_its_own() -> None:
    gathering, usual, single = Gathering(), limited(), limited(1)
    found = [*gathering.add(by_partition([polled(0, 0, *VALUES)]), usual)]
    found += gathering.add(by_partition([polled(1, 0, *VALUES[:2])]), single)
    found += gathering.add(by_partition([polled(0, 5, *VALUES)]), usual)
    found += gathering.take()
    assert [(len(batch.entries), batch.limits is single) for batch in found] == [
        (5, False),
        (1, True),
        (1, True),
        (5, False),
    ]


def test_partition_that_is_read_from_elsewhere_is_dropped() -> None:
    """It was revoked, or given up and claimed again. What the batch has of the others stays."""
    gathering = Gathering()
    parts = [polled(partition, 10, *VALUES) for partition in range(4)]
    assert list(gathering.add(by_partition(parts), limited())) == []
    gathering.drop_unread({0: 15, 1: 10, 3: 20})  # 2 is not read at all
    [batch] = gathering.take()
    assert [move.partition for move in batch.moves] == [0]
    assert [entry.record.partition for entry in batch.entries] == [0] * 5


def test_batch_that_lost_everything_begins_again() -> None:
    gathering, limits = Gathering(), limited(size=500)
    records = polled(0, 0, b"x" * 400)
    assert list(gathering.add(by_partition([records]), limits)) == []
    gathering.drop_unread({})
    assert not gathering
    assert list(gathering.add(by_partition([records]), limits)) == []
    [batch] = gathering.take()
    assert isinstance(batch.entries[0].record, RecordedRecord)
