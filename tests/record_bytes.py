"""Record batches as bytes, as brokers send them; our reader and the library's own; the fixture for both decoders."""

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.protocol.consumer import IsolationLevel
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords
from kafka.record.util import calc_crc32c

from projector.domain.positions import LogRange
from projector.kafka import record_decoder
from projector.kafka.record_batches import Holes, find_holes
from projector.kafka.record_decoder import FetchedRecord

PLACE = TopicPartition("t", 3)
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
TRANSACTIONAL, CONTROL = 0x10, 0x20
ABORT, COMMIT = b"\0\0\0\0", b"\0\0\0\1"
WHOLE = LogRange(0, 10_000)


class Aborted(NamedTuple):
    """An aborted transaction as a fetch response lists it."""

    producer_id: int
    first_offset: int


@pytest.fixture(params=["compiled", "plain"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test with aiokafka's decoder and without it."""
    if request.param == "plain":
        monkeypatch.setattr(record_decoder, "_compiled", None)
    elif record_decoder._compiled is None:
        pytest.skip("aiokafka cannot be imported here")


class Given(NamedTuple):
    """A record of a batch."""

    offset: int
    timestamp: int
    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()


def value_of(offset: int) -> bytes:
    """A value that each codec makes smaller."""
    return b"%d" % offset * 200


def batch(
    offsets: Sequence[int],
    *,
    base: int | None = None,
    last: int | None = None,
    producer: int = -1,
    attributes: int = 0,
    codec: int = 0,
    key: bytes | None = None,
) -> bytes:
    """A batch from `base` to `last`, else around its records. Compaction keeps both when it removes records."""
    first = offsets[0] if base is None else base
    end = offsets[-1] if last is None else last
    headers = [("h", b"1"), ("none", None)]
    records = [Given(at, 1000 + at, key, None if n == 1 else value_of(at), headers) for n, at in enumerate(offsets)]
    return batch_of(records, first, end, producer=producer, attributes=attributes, codec=codec)


def batch_of(
    records: Sequence[Given], base: int, last: int, *, producer: int = -1, attributes: int = 0, codec: int = 0
) -> bytes:
    """A batch of these records."""
    builder = DefaultRecordBatchBuilder(2, codec, attributes & TRANSACTIONAL, producer, 0, 0, 10_000_000)
    for offset, timestamp, key, value, headers in records:
        builder.append(offset - base, timestamp, key, value, list(headers))
    data = bytearray(builder.build()) if records else bytearray(struct.pack(">qiibIhiqqqhii", *[0] * 13))
    struct.pack_into(">qi", data, 0, base, len(data) - 12)
    data[16] = 2
    compression = data[22] & 7  # the builder leaves out one that saves nothing
    struct.pack_into(">hi", data, 21, attributes | compression, last - base)
    struct.pack_into(">q", data, 43, producer)
    return sealed(data)


def sealed(data: bytearray) -> bytes:
    """The batch with its size and its checksum."""
    struct.pack_into(">i", data, 8, len(data) - 12)
    struct.pack_into(">I", data, 17, calc_crc32c(memoryview(data)[21:]))
    return bytes(data)


def marker(offset: int, producer: int, kind: bytes) -> bytes:
    return batch([offset], producer=producer, attributes=TRANSACTIONAL | CONTROL, key=kind)


class Consumer:
    """The attribute of a consumer that `find_holes` changes."""

    def __init__(self) -> None:
        self._fetcher = self
        self.PartitionRecords: Any = Fetcher.PartitionRecords


class Read(NamedTuple):
    records: list[Any]
    next_offset: int
    holes: list[LogRange]


def unpack(data: bytes, start: int, aborted: Sequence[Aborted] = ()) -> Read:
    """Read the response to a fetch from `start`; fails if the library's own reader yields other records."""
    consumer, read = Consumer(), []
    holes = Holes()
    for ours in (False, True):
        if ours:
            holes = find_holes(consumer)
        part = consumer.PartitionRecords(
            start,
            PLACE,
            MemoryRecords(data),
            isolation_level=IsolationLevel.READ_COMMITTED,
            aborted_transactions=list(aborted),
        )
        records = part.take()
        plain = [FetchedRecord(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value) for r in records]
        read.append((plain, part.next_fetch_offset, part.leader_epoch, part.bytes_read > 0, bool(part)))
    assert read[0][:3] == read[1][:3]
    assert read[1][4] is False  # drained
    return Read(read[1][0], read[1][1], holes.take(PLACE, WHOLE))
