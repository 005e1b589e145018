"""Recordings: any record is read as it was written, and a line that is no record becomes a dead letter."""

import gzip
import json
import os
import resource
from pathlib import Path

import pytest
import zstandard
from rows import CALLER, delegate

from projector.contract.facts import Translation
from projector.contract.translate import translate
from projector.contract.unreadable import Unreadable
from projector.errors import Misconfigured, ProjectorError
from projector.recordings.file import RecordedRecord, dumps, read_recording, write_recording

RECORDS = [
    RecordedRecord("activity-log", 3, 1041, 1_777_975_200_123, b"c1", b'{"activity_type": "x"}'),
    RecordedRecord("activity-log", 0, 2**63 - 1, None, None, None),
    RecordedRecord("caf\u00e9", 2**31 - 1, 0, 0, b"\xff\x00", b"\xfe\x00\n"),
    RecordedRecord("activity-log", 0, 1, -1, b"", b""),
    RecordedRecord("activity-log", 0, 2, 5, "\u00fc\n\u2028".encode(), "\U0001f600 \x00 \n".encode()),
]


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz", "all.jsonl.zst"])
def test_records_are_read_as_written(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    assert write_recording(file, RECORDS) == len(RECORDS)
    assert list(read_recording(file)) == RECORDS


def test_suffix_selects_compression(tmp_path: Path) -> None:
    decompress_zstd = zstandard.ZstdDecompressor().decompressobj().decompress
    for suffix, decompress in ((".gz", gzip.decompress), (".zst", decompress_zstd)):
        file = tmp_path / f"all{suffix}"
        write_recording(file, RECORDS)
        assert decompress(file.read_bytes()).count(b"\n") == len(RECORDS)


def test_line_has_the_form_of_the_contract() -> None:
    assert json.loads(dumps(RECORDS[0])) == {
        "topic": "activity-log",
        "partition": 3,
        "offset": 1041,
        "timestamp": 1_777_975_200_123,
        "key": "c1",
        "value": '{"activity_type": "x"}',
    }
    assert dumps(RECORDS[2]).endswith(b'"key_base64": "/wA=", "value_base64": "/gAK"}\n')


def read(tmp_path: Path, *lines: bytes) -> list[RecordedRecord]:
    file = tmp_path / "export.jsonl"
    file.write_bytes(b"\n".join(lines))
    return list(read_recording(file))


def test_bare_row_has_its_line_as_offset(tmp_path: Path) -> None:
    row = json.dumps(delegate(0, source_id=CALLER)).encode()
    first, second = read(tmp_path, row, b"", b"  ", row, b"")
    assert (first.partition, first.offset, first.timestamp, first.key) == (0, 0, None, None)
    assert (second.offset, second.value) == (3, row)
    assert isinstance(translate(second), Translation)


@pytest.mark.parametrize(
    "line",
    [
        b"no json",
        b"\xff\xfe",
        b'["value"]',
        b'{"value": "x"}',
        b'{"topic": 1, "partition": 0, "offset": 0, "value": "x"}',
        b'{"topic": "t", "partition": -1, "offset": 0, "value": "x"}',
        b'{"topic": "t", "partition": 0, "offset": -1, "value": "x"}',
        b'{"topic": "t", "partition": true, "offset": 0, "value": "x"}',
        b'{"topic": "t", "partition": 0, "offset": false, "value": "x"}',
        b'{"topic": "t", "partition": 2147483648, "offset": 0, "value": "x"}',
        b'{"topic": "t", "partition": 0, "offset": 0, "value": {"an": "object"}}',
        b'{"topic": "t", "partition": 0, "offset": 0, "value_base64": "not base64!"}',
        b'{"topic": "t", "partition": 0, "offset": 0, "value_base64": "e30=!"}',
        b'{"topic": "t", "partition": 0, "offset": 0, "value_base64": 7}',
        b'{"topic": "t", "partition": 0, "offset": 0, "key_base64": [], "value": "x"}',
        b"[" * 100_000,
    ],
    ids=lambda line: line[:40].decode(errors="replace"),
)
def test_malformed_line_becomes_dead_letter_at_its_number(tmp_path: Path, line: bytes) -> None:
    good = dumps(RECORDS[0]).strip()
    first, bad, last = read(tmp_path, good, line, good)
    assert first == last == RECORDS[0]
    assert bad == RecordedRecord("export.jsonl", 0, 1, None, None, line)
    with pytest.raises(Unreadable):
        translate(bad)


@pytest.mark.parametrize("timestamp", [b"true", b"1.5", b'"5"', b"[]"])
def test_timestamp_of_another_type_counts_as_none(tmp_path: Path, timestamp: bytes) -> None:
    line = b'{"topic": "t", "partition": 0, "offset": 0, "timestamp": ' + timestamp + b', "value": "x"}'
    assert read(tmp_path, line) == [RecordedRecord("t", 0, 0, None, None, b"x")]


def test_lone_surrogates_are_accepted(tmp_path: Path) -> None:
    (surrogate,) = read(tmp_path, b'{"topic": "t", "partition": 0, "offset": 0, "key": null, "value": "\\ud800"}')
    assert surrogate.value == b"\xed\xa0\x80"


def test_damaged_gz_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "damaged.gz"
    write_recording(file, RECORDS * 1000)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(ProjectorError, match=r"damaged\.gz is damaged or cut off"):
        list(read_recording(file))
    file.write_bytes(content[:50] + bytes(50) + content[100:])
    with pytest.raises(ProjectorError, match=r"damaged\.gz is damaged or cut off"):
        list(read_recording(file))
    file.write_bytes(b"not gz")
    with pytest.raises(ProjectorError, match=r"damaged\.gz is damaged or cut off"):
        list(read_recording(file))


def test_damaged_zst_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "damaged.zst"
    write_recording(file, RECORDS * 1000)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(ProjectorError, match=r"damaged\.zst is damaged or cut off"):
        list(read_recording(file))
    file.write_bytes(b"not zst")
    with pytest.raises(ProjectorError, match=r"damaged\.zst is damaged or cut off"):
        list(read_recording(file))


def test_missing_file_is_misconfigured(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"nowhere\.jsonl cannot be opened: No such file"):
        list(read_recording(tmp_path / "nowhere.jsonl"))


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz", "all.jsonl.zst"])
def test_full_disk_is_not_called_an_unopened_file(tmp_path: Path, name: str) -> None:
    """A limit of the file size stands for the disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    records = (RecordedRecord("t", 0, n, None, None, os.urandom(5_000)) for n in range(100))
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(ProjectorError, match=rf"{name} cannot be written: File too large") as raised:
            write_recording(tmp_path / name, records)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not isinstance(raised.value, Misconfigured)


def test_file_is_read_lazily(tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    write_recording(file, RECORDS)
    lines = read_recording(file)
    assert next(lines) == RECORDS[0]
    lines.close()  # type: ignore[attr-defined]  # a generator
