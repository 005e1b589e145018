"""Recordings: files of JSON lines, one record a line, plain, gzipped or zstandard (CONTRACT §5)."""

import base64
import binascii
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import zstandard

from projector.contract import strict_json
from projector.contract.fields import ID_BYTES, storable
from projector.contract.unreadable import Unreadable
from projector.errors import Misconfigured, ProjectorError

_ZST_CHUNK = 4096
"""Little, since it may be ten thousand times as much once it is decompressed."""


class RecordedRecord(NamedTuple):
    """A record as a recording holds it; `timestamp` in ms since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None
    key: bytes | None
    value: bytes | None


def open_file(path: Path) -> IO[bytes]:
    """How a recording's file is opened to be read, unless somebody wants to hear how much of it is."""
    return path.open("rb")


def read_recording(path: Path, opened: Callable[[Path], IO[bytes]] = open_file) -> Iterator[RecordedRecord]:
    """The records of a recording. A line without `value` is itself an activity row, at the offset of its number from 0.

    A line that is not a record at all comes out as a record whose value is the line, so that it ends as a dead letter.
    Raises Misconfigured where the file cannot be opened, ProjectorError where its compression is damaged.
    """
    with _translated_errors(path), opened(path) as file, _decompressed(file, path.suffix) as lines:
        for number, line in enumerate(lines):
            if text := line.strip():
                yield _record(text, path.name, number)


def write_recording(path: Path, records: Iterable[RecordedRecord]) -> int:
    """Write a recording, compressed as the file's suffix says; how many records it holds."""
    count = 0
    with _translated_errors(path), _compressed(path) as lines:
        for record in records:
            lines.write(dumps(record))
            count += 1
    return count


def dumps(record: RecordedRecord) -> bytes:
    """A record as a line of a recording."""
    place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    held = {**place, "timestamp": record.timestamp, **as_text("key", record.key), **as_text("value", record.value)}
    return json.dumps(held, ensure_ascii=False).encode() + b"\n"


def _record(line: bytes, name: str, number: int) -> RecordedRecord:
    try:
        held = strict_json.loads(line)
        if isinstance(held, dict) and ("value" in held or "value_base64" in held):
            return _held_record(held)
    except (Unreadable, ValueError):
        pass
    return RecordedRecord(storable(name), 0, number, None, None, line)


def _held_record(held: dict[str, object]) -> RecordedRecord:
    """Raises ValueError where a coordinate or the text of a value is not what it must be."""
    topic, partition, offset, timestamp = (held.get(each) for each in ("topic", "partition", "offset", "timestamp"))
    if not isinstance(topic, str) or not isinstance(partition, int) or not isinstance(offset, int):
        raise ValueError("a recorded record has a topic, a partition and an offset")
    if topic != storable(topic) or len(topic.encode()) > ID_BYTES:
        raise ValueError("a topic's name is one that Postgres can store and index")
    if not 0 <= partition < 2**31 or not 0 <= offset < 2**63:
        raise ValueError("partition and offset are not negative")
    return RecordedRecord(
        topic,
        partition,
        offset,
        timestamp if isinstance(timestamp, int) else None,
        _as_bytes("key", held),
        _as_bytes("value", held),
    )


def as_text(field: str, content: bytes | None) -> dict[str, str | None]:
    """Bytes as JSON holds them: text, or `…_base64` where they are not UTF-8."""
    if content is None:
        return {field: None}
    try:
        return {field: content.decode()}
    except UnicodeDecodeError:
        return {f"{field}_base64": base64.b64encode(content).decode()}


def _as_bytes(field: str, held: dict[str, object]) -> bytes | None:
    encoded, text = held.get(f"{field}_base64"), held.get(field)
    if isinstance(encoded, str):
        try:
            return base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise ValueError(f"{field}_base64 is not base64") from error
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError(f"{field} is not a text")
    return text.encode(errors="surrogatepass")


@contextmanager
def _translated_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise ProjectorError(f"the recording {path} is damaged or cut off: {error}") from error
    except OSError as error:
        raise Misconfigured(f"the recording {path} cannot be opened: {error.strerror or error}") from error


def _decompressed(file: IO[bytes], suffix: str) -> IO[bytes]:
    if suffix == ".gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    if suffix == ".zst":
        return cast(IO[bytes], io.BufferedReader(_Zst(file)))
    return file


def _compressed(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path, "wb", compresslevel=1))
    if path.suffix == ".zst":
        return cast(IO[bytes], zstandard.open(path, "wb"))
    return path.open("wb")


class _Zst(io.RawIOBase):
    """Reads frames of zstandard; the library's own reader takes a file that was cut off for one that ends there."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._frame: Any = None
        self._compressed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            chunk = self._compressed or self._file.read(_ZST_CHUNK)
            if not chunk and self._frame is not None:
                raise EOFError("its last frame has no end")
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
