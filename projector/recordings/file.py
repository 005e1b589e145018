"""Reads and writes recordings: one record per line as JSON; plain, gzip or zstandard (events/README.md, section 5)."""

import base64
import codecs
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeGuard, cast

import zstandard

from projector.contract import strict_json
from projector.contract.envelope import Record
from projector.contract.fields import ID_BYTES, storable
from projector.contract.unreadable import Unreadable
from projector.errors import Misconfigured, ProjectorError

_ZSTD_CHUNK_BYTES = 4096
"""Compressed bytes per step. They are few, because they can become ten thousand times as many."""
_BLANK = b"\0 \t\r\n"
"""With the zero byte: a blank line of UTF-16 has one."""
_ARRAY = re.compile(rb"\[\s*(?:\{|\]?$)")
_MAGIC = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}
"""The first bytes of a compressed file, and the suffix of its name."""


class RecordedRecord(NamedTuple):
    """A record of a recording; `timestamp` is in ms since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None
    key: bytes | None
    value: bytes | None


def open_file(path: Path) -> IO[bytes]:
    """Open a recording to read it. Callers that show progress pass their own function instead."""
    return path.open("rb")


def read_recording(path: Path, opened: Callable[[Path], IO[bytes]] = open_file) -> Iterator[RecordedRecord]:
    """Read the records of a recording, one at a time. A byte order mark at the start is skipped.

    A line without `value` is an activity row itself. Its offset is the number of its line, from 0. A line that is no
    record becomes a record with the line as its value, which ends as a dead letter.
    Raises Misconfigured if the file cannot be opened, is UTF-16 or is a JSON array, and ProjectorError if its
    compression is damaged.
    """
    with _translated_errors(path), opened(path) as file, _decompressed(file, path.suffix) as lines:
        for number, line in _lines(lines, path):
            if text := line.strip():
                yield _record(text, path.name, number)


def is_bare_line(record: Record, path: Path) -> bool:
    """Whether a record read from `path` is a whole line of it: an activity row, or a line that is no record."""
    return (record.topic, record.partition, record.timestamp, record.key) == (storable(path.name), 0, None, None)


def write_recording(path: Path, records: Iterable[RecordedRecord]) -> int:
    """Write a recording and return its number of records. The suffix .gz or .zst selects the compression.

    Raises Misconfigured if the file cannot be opened, and ProjectorError if it cannot be written to its end.
    """
    count = 0
    with _translated_errors(path):
        opened = _compressed(path)
    try:
        with opened as lines:
            for record in records:
                lines.write(dumps(record))
                count += 1
    except OSError as error:
        raise ProjectorError(f"the recording {path} cannot be written: {error.strerror or error}") from error
    return count


def dumps(record: RecordedRecord) -> bytes:
    """A record as a line of a recording."""
    line = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        **text_or_base64("key", record.key),
        **text_or_base64("value", record.value),
    }
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def _lines(lines: IO[bytes], path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines with their numbers, from 0. Raises Misconfigured if the first ones show that it is no recording."""
    numbered = enumerate(lines)
    for number, line in numbered:
        if number == 0:
            line = line.removeprefix(codecs.BOM_UTF8)
        if line.strip(_BLANK):
            _require_utf8(path, line.lstrip()[:4])
            if _ARRAY.match(line.strip()):
                raise Misconfigured(f"{path} is a JSON array: write one object per line instead")
            yield number, line
            break
        yield number, line
    yield from numbered


def _require_utf8(path: Path, start: bytes) -> None:
    """Raises Misconfigured if four bytes at the start of a file show UTF-16, UTF-32 or a compressed file."""
    encoding = json.detect_encoding(start).upper()
    if not encoding.startswith("UTF-8") and start.strip(b"\0"):
        raise Misconfigured(f"{path} is {encoding[:6]}: convert it to UTF-8")
    for magic, suffix in _MAGIC.items():
        if start.startswith(magic):
            raise Misconfigured(f"{path} is compressed, but its name does not end in {suffix}: rename it")


def _record(line: bytes, name: str, number: int) -> RecordedRecord:
    try:
        parsed = strict_json.loads(line)
        if isinstance(parsed, dict) and ("value" in parsed or "value_base64" in parsed):
            return _parsed_record(parsed)
    except (Unreadable, ValueError):
        pass
    return RecordedRecord(storable(name), 0, number, None, None, line)


def _parsed_record(line: dict[str, object]) -> RecordedRecord:
    """Raises ValueError if a coordinate, the key or the value is malformed."""
    topic, partition, offset, timestamp = (line.get(name) for name in ("topic", "partition", "offset", "timestamp"))
    if not isinstance(topic, str) or not _is_whole(partition) or not _is_whole(offset):
        raise ValueError("topic, partition or offset is missing or has the wrong type")
    if topic != storable(topic) or len(topic.encode()) > ID_BYTES:
        raise ValueError("Postgres cannot store or index the topic's name")
    if not 0 <= partition < 2**31 or not 0 <= offset < 2**63:
        raise ValueError("partition or offset is out of range")
    return RecordedRecord(
        topic,
        partition,
        offset,
        timestamp if _is_whole(timestamp) else None,
        _content("key", line),
        _content("value", line),
    )


def _is_whole(number: object) -> TypeGuard[int]:
    return isinstance(number, int) and not isinstance(number, bool)


def text_or_base64(field: str, content: bytes | None) -> dict[str, str | None]:
    """Bytes as one field of JSON: `field` with the text, or `field_base64` if the bytes are not UTF-8."""
    if content is None:
        return {field: None}
    try:
        return {field: content.decode()}
    except UnicodeDecodeError:
        return {f"{field}_base64": base64.b64encode(content).decode()}


def _content(field: str, line: dict[str, object]) -> bytes | None:
    """The bytes that `text_or_base64` wrote. Raises ValueError if the field holds something else."""
    encoded, text = line.get(f"{field}_base64"), line.get(field)
    if encoded is None and text is None:
        return None
    if encoded is None and isinstance(text, str):
        return text.encode(errors="surrogatepass")
    if not isinstance(encoded, str):
        raise ValueError(f"{field} or {field}_base64 is not text")
    return base64.b64decode(encoded, validate=True)


@contextmanager
def _translated_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise ProjectorError(f"the recording {path} is damaged or cut off ({error}): get the file again") from error
    except OSError as error:
        raise Misconfigured(f"the recording {path} cannot be opened: {error.strerror or error}") from error


def _decompressed(file: IO[bytes], suffix: str) -> IO[bytes]:
    if suffix == ".gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    if suffix == ".zst":
        return cast(IO[bytes], io.BufferedReader(_ZstdReader(file)))
    return file


def _compressed(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path, "wb", compresslevel=1))
    if path.suffix == ".zst":
        return cast(IO[bytes], zstandard.open(path, "wb"))
    return path.open("wb")


class _ZstdReader(io.RawIOBase):
    """Decompresses zstandard. The reader of the library does not detect a file that was cut off; this one does."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._frame: Any = None
        self._compressed = b""  # what was read after the end of a frame
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            chunk = self._compressed or self._file.read(_ZSTD_CHUNK_BYTES)
            if not chunk and self._frame is not None:
                raise EOFError("the last zstandard frame is incomplete")
            if not chunk:
                return 0
            self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            self._ready = memoryview(self._frame.decompress(chunk))
            self._compressed = self._frame.unused_data
            if self._frame.eof:
                self._frame = None
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size
