"""The decoders read from a batch what kafka-python reads from it, and refuse what it refuses."""

import gzip
import logging
import random
import struct
from collections.abc import Callable

import cramjam
import pytest
import zstandard
from kafka.errors import CorruptRecordError, UnsupportedCodecError
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder
from record_bytes import CODECS, Given, batch, batch_of, sealed

from projector.kafka import record_decoder
from projector.kafka.record_decoder import Decoder, FetchedRecord, split

APPEND_TIME = 0x08
HEADER_BYTES, CODEC_AT = 61, 22
MS = 1_777_975_200_123
RECORDS = [
    Given(10, MS, b"key", b"value" * 100),
    Given(11, MS - 86_400_000, b"key", None, [("a", b"1"), ("a", None), ("größe", b"")]),
    Given(12, MS + 10**12, None, b""),
    Given(15, -1, b"", b'{"k": "v"}' * 5000, [("", b"x" * 300)]),
]
DAMAGE = [0, 1, 0x7F, 0x80, 0xFF]

pytestmark = pytest.mark.usefixtures("decoder")


class NoUtf8(str):
    """The name of a header as a client in C may send it."""

    def encode(self, *_: str) -> bytes:
        return b"\xff\xfe"


def ours(response: bytes) -> list[FetchedRecord]:
    found: list[FetchedRecord] = []
    for each in split(response):
        if not each.has_valid_checksum():
            raise CorruptRecordError
        found += Decoder("t", 3).records(each)
    return found


def of_the_library(response: bytes) -> list[FetchedRecord]:
    found = []
    for each in MemoryRecords(response):
        if not each.validate_crc():
            raise CorruptRecordError
        found += [FetchedRecord("t", 3, r.offset, r.timestamp, r.key, r.value) for r in each]
    return found


def read_by(reader: Callable[[bytes], list[FetchedRecord]], response: bytes) -> list[FetchedRecord] | str:
    """The records, or why there are none: "corrupt", or "header" if the library cannot decode the name of one."""
    try:
        return reader(response)
    except CorruptRecordError as error:
        return "header" if "UnicodeDecodeError" in str(error) else "corrupt"
    except Exception:
        if reader is ours:
            raise
        return "corrupt"  # an error of a codec


def require_equal(response: bytes) -> list[FetchedRecord] | str:
    """What we read, which is what the library reads. We pass over headers."""
    expected, found = read_by(of_the_library, response), read_by(ours, response)
    assert expected in (found, "header")
    return found


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@pytest.mark.parametrize("attributes", [0, APPEND_TIME], ids=["create time", "append time"])
def test_records_are_those_of_the_library(codec: int, attributes: int) -> None:
    data = bytearray(batch_of(RECORDS, 10, 15, codec=codec, attributes=attributes))
    assert data[CODEC_AT] & 7 == codec
    found = require_equal(bytes(data))
    latest = max(record.timestamp for record in RECORDS)
    assert found == [
        FetchedRecord("t", 3, r.offset, latest if attributes else r.timestamp, r.key, r.value) for r in RECORDS
    ]


def test_batch_without_timestamps_has_minus_one() -> None:
    found = require_equal(batch_of([Given(5, -1, value=b"a"), Given(6, -1, value=b"b")], 5, 6))
    assert [record.timestamp for record in found if isinstance(record, FetchedRecord)] == [-1, -1]


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("codec", [0, 1])
def test_older_formats_are_read(magic: int, codec: int) -> None:
    builder = MemoryRecordsBuilder(magic, codec, 10_000, offset=5)
    for n in range(3):
        builder.append(MS, None if n else b"key", b"value" * 50)
    builder.close()
    assert len(require_equal(bytes(builder.buffer()))) == 3
    damaged = bytearray(builder.buffer())
    damaged[-1] ^= 1
    assert require_equal(bytes(damaged)) == "corrupt"


@pytest.mark.parametrize(
    ("codec", "compress"),
    [
        pytest.param(1, gzip.compress, id="gzip"),
        pytest.param(4, zstandard.ZstdCompressor().compress, id="zstd"),
        # The content size is not in the frame, as with the Java client.
        pytest.param(4, zstandard.ZstdCompressor(write_content_size=False).compress, id="zstd-streamed"),
    ],
)
def test_frames_may_follow_each_other(codec: int, compress: Callable[[bytes], bytes]) -> None:
    data = batch_of(RECORDS, 10, 15)
    records = data[HEADER_BYTES:]
    compressed = bytearray(data[:HEADER_BYTES] + compress(records[:700]) + compress(records[700:]))
    compressed[CODEC_AT] |= codec
    assert require_equal(sealed(compressed)) == ours(data)


def test_snappy_without_blocks_is_read() -> None:
    data = batch_of(RECORDS, 10, 15)
    compressed = bytearray(data[:HEADER_BYTES] + bytes(cramjam.snappy.compress_raw(data[HEADER_BYTES:])))
    compressed[CODEC_AT] |= CODECS["snappy"]
    assert require_equal(sealed(compressed)) == ours(data)


def test_unknown_codec_is_named() -> None:
    data = bytearray(batch([5]))
    data[CODEC_AT] |= 5
    with pytest.raises(UnsupportedCodecError, match="codec 5"):
        ours(sealed(data))


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_name_of_a_header_may_be_no_utf8(codec: int) -> None:
    records = [RECORDS[0], RECORDS[1]._replace(headers=[(NoUtf8("x"), b"v")])]
    found = ours(batch_of(records, 10, 11, codec=codec))
    assert [record[2:] for record in found] == [record[:4] for record in records]


def test_batch_is_left_out_while_it_is_cut_off() -> None:
    whole, following = batch_of(RECORDS[:2], 10, 11), batch([12, 13])
    for length in range(len(following)):
        assert require_equal(whole + following[:length]) == ours(whole)


def test_batch_with_a_wrong_size_is_corrupt() -> None:
    data = batch([5, 6])
    for size in [-(2**31), -13, -12, -1, 0, 4, 5, 13, 14, 48, 49, len(data) - 13]:
        damaged = bytearray(data)
        struct.pack_into(">i", damaged, 8, size)
        assert read_by(ours, bytes(damaged)) == "corrupt", size


@pytest.mark.parametrize("records", [RECORDS[:2], RECORDS[2:3], []], ids=["headers", "no headers", "no records"])
def test_batch_ends_with_its_last_record(records: list[Given]) -> None:
    data = batch_of(records, 10, 12)
    assert require_equal(sealed(bytearray(data + b"\0"))) == "corrupt"
    for size in range(HEADER_BYTES, len(data)):
        assert require_equal(sealed(bytearray(data[:size]))) == "corrupt"


def test_each_changed_byte_under_the_checksum_is_found() -> None:
    data = batch_of(RECORDS[:3], 10, 12)
    for place in range(17, len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        assert require_equal(bytes(damaged)) == "corrupt"


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_damage_under_a_right_checksum_is_read_as_by_the_library(codec: int) -> None:
    rng = random.Random(codec)
    small = [record._replace(value=record.value and record.value[:20]) for record in RECORDS]
    data = batch_of(small if codec == 0 else RECORDS, 10, 15, codec=codec)
    outcomes = set()
    for _ in range(3000):
        damaged = bytearray(data)
        place = rng.randrange(HEADER_BYTES, min(len(data), HEADER_BYTES + 300))
        damaged[place] = rng.choice(DAMAGE)
        if rng.random() < 0.3:
            del damaged[place : place + rng.randrange(1, 4)]
        found = require_equal(sealed(damaged))
        outcomes.add(found if isinstance(found, str) else "read")
    assert outcomes == {"read", "corrupt"}


def test_missing_decoder_is_logged_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(record_decoder, "_compiled", None)
    record_decoder._log_once.cache_clear()
    with caplog.at_level(logging.INFO, logger="projector"):
        for _ in range(3):
            Decoder("t", 3)
    assert [record.getMessage() for record in caplog.records] == [
        "aiokafka's compiled decoder cannot be imported, reading takes longer"
    ]
