"""The batches in a fetch response, and the records of a batch.

aiokafka's decoder reads the records. It is compiled, and takes a tenth of the time of kafka-python's. `_read_plainly`
reads them where aiokafka cannot be imported, and where it refuses a batch for the name of a header.

This is the only module that uses aiokafka, and of it only a private part (`_crecords` of version 0.14.0). Checksums,
compression and the formats before Kafka 0.11 stay with kafka-python's own functions.
"""

import logging
import struct
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from kafka.codec import gzip_decode, lz4_decode, snappy_decode
from kafka.errors import CorruptRecordError, UnsupportedCodecError
from kafka.record.legacy_records import LegacyRecordBatch
from kafka.record.util import calc_crc32c, decode_varint
from zstandard import ZstdDecompressor

try:
    from aiokafka.record._crecords.default_records import DefaultRecordBatch
except ImportError:  # there is no wheel for every platform
    DefaultRecordBatch = None

log = logging.getLogger(__name__)

_compiled: Any = DefaultRecordBatch

OFFSETS_KNOWN = 2
"""The first version of the batch format whose header has the last offset and the producer."""

_SIZE = struct.Struct(">qi")  # the base offset, and the number of bytes that follow
_HEADER = struct.Struct(">qiibIhiqqq6xi")
_MAGIC_AT, _CHECKED_FROM, _CODEC_AT = 16, 21, 22
_MIN_BYTES = 26  # of version 0
_CODEC, _APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20
_ZSTD = 4
_CODECS = {1: gzip_decode, 2: snappy_decode, 3: lz4_decode}


class FetchedRecord(NamedTuple):
    """A record of the topic. `timestamp` is in ms since 1970, negative if the record has none."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Batch(NamedTuple):
    """A batch with the fields of its header. Version 0 and 1 have only `base_offset` and `magic`, the version."""

    data: memoryview
    base_offset: int
    magic: int
    leader_epoch: int = -1
    crc: int = 0
    attributes: int = 0
    last_offset: int = -1
    producer_id: int = -1

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & _TRANSACTIONAL)

    @property
    def is_control_batch(self) -> bool:
        return bool(self.attributes & _CONTROL)

    def has_valid_checksum(self) -> bool:
        if self.magic < OFFSETS_KNOWN:
            return bool(LegacyRecordBatch(self.data, self.magic).validate_crc())
        return bool(calc_crc32c(self.data[_CHECKED_FROM:]) == self.crc)


def split(response: bytes) -> Iterator[Batch]:
    """The batches of a partition in a fetch response. The last one can be cut off, and is then left out.

    Raises CorruptRecordError if a batch is shorter than its header.
    """
    data, begin = memoryview(response), 0
    while begin + _SIZE.size <= len(data):
        _, following = _SIZE.unpack_from(data, begin)
        end = begin + _SIZE.size + following
        if end > len(data):
            return
        yield _batch(data[begin:end])
        begin = end


def _batch(data: memoryview) -> Batch:
    if len(data) >= _MIN_BYTES:
        magic = data[_MAGIC_AT]
        if magic < OFFSETS_KNOWN:
            return Batch(data, _SIZE.unpack_from(data)[0], magic)
        if len(data) >= _HEADER.size:
            base_offset, _, epoch, _, crc, attributes, last_delta, _, _, producer_id, _ = _HEADER.unpack_from(data)
            return Batch(data, base_offset, magic, epoch, crc, attributes, base_offset + last_delta, producer_id)
    raise CorruptRecordError(f"a batch has {len(data)} bytes, which is less than its header")


@cache
def _log_once() -> None:
    log.warning("aiokafka's compiled decoder cannot be imported, reading takes longer")


class Decoder:
    """Decodes batches of one partition. Not thread-safe."""

    def __init__(self, topic: str, partition: int) -> None:
        self._topic = topic
        self._partition = partition
        if _compiled is None:
            _log_once()
        self._zstd: ZstdDecompressor | None = None

    def records(self, batch: Batch) -> list[FetchedRecord]:
        """All records of a batch, in order. Raises CorruptRecordError or UnsupportedCodecError."""
        try:
            return self._records(batch)
        except UnsupportedCodecError:
            raise
        except Exception as error:  # each codec has its own errors
            raise CorruptRecordError(
                f"the batch at offset {batch.base_offset} of {self._topic}, partition {self._partition}, is corrupt: "
                f"{error!r}"
            ) from error

    def _records(self, batch: Batch) -> list[FetchedRecord]:
        if batch.magic < OFFSETS_KNOWN:
            return self._fetched(LegacyRecordBatch(batch.data, batch.magic))
        data = self._uncompressed(batch)
        if _compiled is not None:
            try:
                return self._fetched(_compiled(data))
            except UnicodeDecodeError:
                pass  # the name of a header is no UTF-8, which brokers accept
        return self._fetched(_read_plainly(bytes(data)))

    def _fetched(self, records: Any) -> list[FetchedRecord]:
        # What FetchedRecord(…) calls as well, by a function in Python.
        new, topic, partition = tuple.__new__, self._topic, self._partition
        return [new(FetchedRecord, (topic, partition, r.offset, r.timestamp, r.key, r.value)) for r in records]

    def _uncompressed(self, batch: Batch) -> bytes | memoryview:
        """The batch as one without compression."""
        codec = batch.attributes & _CODEC
        if not codec:
            return batch.data
        header, records = bytearray(batch.data[: _HEADER.size]), batch.data[_HEADER.size :]
        header[_CODEC_AT] &= ~_CODEC
        return b"".join((header, self._decompress(codec, records)))

    def _decompress(self, codec: int, records: memoryview) -> Any:
        if codec == _ZSTD:  # the client's function makes a decompressor per batch, which takes longer than a small one
            self._zstd = self._zstd or ZstdDecompressor()
            return self._zstd.decompressobj(read_across_frames=True).decompress(records)
        if codec not in _CODECS:
            raise UnsupportedCodecError(f"codec {codec} of the batch is unknown")
        return _CODECS[codec](records)


class _Record(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def _read_plainly(data: bytes) -> Iterator[_Record]:
    """The records of a batch without compression. Passes over headers, whatever their names are."""
    base_offset, _, _, _, _, attributes, _, first_timestamp, max_timestamp, _, count = _HEADER.unpack_from(data)
    position = _HEADER.size
    for _ in range(count):
        length, begin = decode_varint(data, position)
        _, position = decode_varint(data, begin)
        time_delta, position = decode_varint(data, position)
        offset_delta, position = decode_varint(data, position)
        key, position = _read_bytes(data, position)
        value, position = _read_bytes(data, position)
        position = _skip_headers(data, position)
        if position != begin + length:
            raise ValueError(f"a record of {length} bytes has {position - begin}")
        timestamp = max_timestamp if attributes & _APPEND_TIME else first_timestamp + time_delta
        yield _Record(base_offset + offset_delta, timestamp, key, value)
    if position != len(data):
        raise ValueError(f"the records end at byte {position} of {len(data)}")


def _skip_headers(data: bytes, position: int) -> int:
    """The position after the headers of a record."""
    count, position = decode_varint(data, position)
    if count < 0:
        raise ValueError(f"a record has {count} headers")
    for _ in range(count):
        name, position = _read_bytes(data, position)
        if name is None:
            raise ValueError("a header has no name")
        _, position = _read_bytes(data, position)
    return position


def _read_bytes(data: bytes, position: int) -> tuple[bytes | None, int]:
    """A field with its length before it, and the position after it. A negative length is null."""
    length, begin = decode_varint(data, position)
    if length < 0:
        return None, begin
    return data[begin : begin + length], begin + length
