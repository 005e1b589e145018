"""The start of a file that is read as a recording: byte order marks, other encodings, arrays, compression."""

import codecs
import gzip
import json
from pathlib import Path

import pytest
import zstandard
from rows import CALLER, delegate

from projector.errors import Misconfigured
from projector.recordings.file import RecordedRecord, dumps, read_recording

ROW = json.dumps(delegate(0, source_id=CALLER)).encode()
LINE = dumps(RecordedRecord("activity-log", 3, 1041, None, None, ROW))


def read(tmp_path: Path, content: bytes, name: str = "export.jsonl") -> list[RecordedRecord]:
    file = tmp_path / name
    file.write_bytes(content)
    return list(read_recording(file))


@pytest.mark.parametrize(
    ("name", "compress"),
    [("a.jsonl", bytes), ("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstandard.ZstdCompressor().compress)],
)
@pytest.mark.parametrize("line", [LINE, ROW + b"\n"], ids=["recorded", "bare"])
def test_byte_order_mark_is_skipped(tmp_path: Path, name: str, compress: object, line: bytes) -> None:
    assert callable(compress)
    plain = read(tmp_path, compress(line * 2), name)
    assert read(tmp_path, compress(codecs.BOM_UTF8 + line * 2), name) == plain
    assert [record.value for record in plain] == [ROW, ROW]


def test_byte_order_mark_after_the_start_stays(tmp_path: Path) -> None:
    marked = codecs.BOM_UTF8 + ROW
    _, second, third = read(tmp_path, codecs.BOM_UTF8 + ROW + b"\n" + marked + b"\n" + LINE)
    assert second.value == marked
    assert third.offset == 1041
    assert [record.value for record in read(tmp_path, codecs.BOM_UTF8 + marked)] == [marked]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("start", ["", "\n", "\ufeff"], ids=["", "blank line", "mark"])
def test_other_encoding_is_refused_by_name(tmp_path: Path, encoding: str, start: str) -> None:
    content = (start + ROW.decode() + "\n").encode(encoding)
    with pytest.raises(Misconfigured, match=rf"export\.jsonl is {encoding[:6].upper()}: convert it to UTF-8"):
        read(tmp_path, content)


@pytest.mark.parametrize(
    "start", [b"[" + ROW + b"]", b"[\n" + ROW + b"\n]\n", b"\xef\xbb\xbf\n \n[ {", b"[]"], ids=lambda start: start[:5]
)
def test_array_is_refused_by_name(tmp_path: Path, start: bytes) -> None:
    with pytest.raises(Misconfigured, match=r"export\.jsonl is a JSON array: write one object per line instead"):
        read(tmp_path, start)


@pytest.mark.parametrize("first", [b"[INFO] exporting", b'["value"]', b"\0\0\0\0\0"])
def test_other_first_line_is_a_dead_letter(tmp_path: Path, first: bytes) -> None:
    bad, good = read(tmp_path, first + b"\n" + LINE)
    assert (bad.offset, bad.value) == (0, first)
    assert good.offset == 1041


@pytest.mark.parametrize(
    ("compressed", "suffix"), [(gzip.compress(LINE), ".gz"), (zstandard.compress(LINE), ".zst")], ids=["gz", "zst"]
)
def test_compressed_file_under_another_name_is_refused(tmp_path: Path, compressed: bytes, suffix: str) -> None:
    with pytest.raises(Misconfigured, match=rf"is compressed, but its name does not end in \{suffix}: rename it"):
        read(tmp_path, compressed)


@pytest.mark.parametrize("content", [b"", b"\n \n", codecs.BOM_UTF8, codecs.BOM_UTF8 + b"\n"])
def test_file_without_a_line_is_empty(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path, content) == []
