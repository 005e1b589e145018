"""Record batches as bytes: which records they yield, as the library's own reader does, and which offsets are a hole."""

import pytest
from kafka import TopicPartition
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer import IsolationLevel
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder
from record_bytes import (
    ABORT,
    CODECS,
    COMMIT,
    CONTROL,
    PLACE,
    TRANSACTIONAL,
    WHOLE,
    Aborted,
    Consumer,
    Read,
    batch,
    marker,
    unpack,
    value_of,
)

from projector.domain.positions import LogRange
from projector.kafka.record_batches import Holes, find_holes
from projector.kafka.record_decoder import FetchedRecord

pytestmark = pytest.mark.usefixtures("decoder")


def offsets(read: Read) -> list[int]:
    return [record.offset for record in read.records]


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_records_are_those_of_the_library(codec: int) -> None:
    read = unpack(batch([5, 6, 7], codec=codec) + batch([8], codec=codec), 5)
    assert read.records == [
        FetchedRecord("t", 3, 5, 1005, None, value_of(5)),
        FetchedRecord("t", 3, 6, 1006, None, None),
        FetchedRecord("t", 3, 7, 1007, None, value_of(7)),
        FetchedRecord("t", 3, 8, 1008, None, value_of(8)),
    ]
    assert (read.next_offset, read.holes) == (9, [])


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("codec", [0, 1])
def test_older_formats_are_read(magic: int, codec: int) -> None:
    builder = MemoryRecordsBuilder(magic, codec, 10_000, offset=5)
    for n in range(3):
        builder.append(1000, None, b"%d" % n)
    builder.close()
    read = unpack(bytes(builder.buffer()), 5)
    assert (offsets(read), read.next_offset, read.holes) == ([5, 6, 7], 8, [])


def test_fetch_may_begin_inside_a_batch() -> None:
    read = unpack(batch([5, 6, 7]), 6)
    assert (offsets(read), read.next_offset, read.holes) == ([6, 7], 8, [])


def test_removed_records_are_holes() -> None:
    data = batch([6, 8], base=5, last=9) + batch([12, 13])
    read = unpack(data, 3)
    assert (offsets(read), read.next_offset) == ([6, 8, 12, 13], 14)
    assert read.holes == [LogRange(3, 6), LogRange(7, 8), LogRange(9, 12)]


def test_removed_end_of_the_last_batch_is_a_hole() -> None:
    read = unpack(batch([5, 6], last=9), 5)
    assert (offsets(read), read.next_offset, read.holes) == ([5, 6], 10, [LogRange(7, 10)])


def test_emptied_batch_is_a_hole() -> None:
    read = unpack(batch([], base=5, last=9) + batch([10]), 5)
    assert (offsets(read), read.next_offset, read.holes) == ([10], 11, [LogRange(5, 10)])


def test_aborted_records_and_markers_are_no_hole() -> None:
    data = b"".join(
        [
            batch([0, 1], producer=7, attributes=TRANSACTIONAL),
            batch([2], producer=8, attributes=TRANSACTIONAL),
            marker(3, 7, ABORT),
            marker(4, 8, COMMIT),
            batch([5], producer=7, attributes=TRANSACTIONAL),
            marker(6, 7, COMMIT),
        ]
    )
    read = unpack(data, 0, [Aborted(7, 0)])
    assert (offsets(read), read.next_offset, read.holes) == ([2, 5], 7, [])


def test_holes_beside_aborted_records_are_found() -> None:
    data = batch([2], producer=7, base=2, last=4, attributes=TRANSACTIONAL) + marker(6, 7, ABORT) + batch([8])
    read = unpack(data, 0, [Aborted(7, 1)])
    assert (offsets(read), read.holes) == ([8], [LogRange(0, 2), LogRange(5, 6), LogRange(7, 8)])


def test_emptied_marker_is_passed() -> None:
    """The library cannot: it looks for an abort in each marker."""
    data = batch([], base=5, last=5, producer=7, attributes=TRANSACTIONAL | CONTROL) + batch([6])
    with pytest.raises(RuntimeError):
        unpack(data, 5)
    consumer = Consumer()
    holes = find_holes(consumer)
    part = consumer.PartitionRecords(5, PLACE, MemoryRecords(data), isolation_level=IsolationLevel.READ_COMMITTED)
    assert [record.offset for record in part.take()] == [6]
    assert holes.take(PLACE, WHOLE) == []


def test_batch_that_is_cut_off_is_left_for_the_next_fetch() -> None:
    read = unpack(batch([5, 6]) + batch([7, 8])[:-3], 5)
    assert (offsets(read), read.next_offset, read.holes) == ([5, 6], 7, [])


def test_corrupt_batch_is_an_error_and_no_hole() -> None:
    consumer = Consumer()
    holes = find_holes(consumer)
    corrupt = bytearray(batch([9]))
    corrupt[-1] ^= 1
    part = consumer.PartitionRecords(5, PLACE, MemoryRecords(batch([5, 6]) + bytes(corrupt)))
    assert [record.offset for record in part.take()] == [5, 6]
    with pytest.raises(CorruptRecordError, match="offset 9"):
        part.take()
    assert (part.next_fetch_offset, holes.take(PLACE, WHOLE)) == (7, [])


def test_only_holes_of_the_range_are_taken_once() -> None:
    holes = Holes()
    holes.add(PLACE, 5, 9)
    holes.add(PLACE, 12, 20)
    assert holes.take(TopicPartition("t", 0), WHOLE) == []
    assert holes.take(PLACE, LogRange(7, 15)) == [LogRange(7, 9), LogRange(12, 15)]
    assert holes.take(PLACE, WHOLE) == []
