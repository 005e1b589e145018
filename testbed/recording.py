"""Recordings of acknowledged records: one JSON line per record (events/README.md, section 5)."""

import base64
import gzip
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

import zstandard


class AcknowledgedRecord(NamedTuple):
    """A record with its place in the topic; `timestamp` in ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None
    key: bytes | None
    value: bytes | None


def to_line(record: AcknowledgedRecord) -> str:
    """Encode a record as a line; bytes that are not UTF-8 become base64."""
    line: dict[str, object] = record._asdict() | {"key": None, "value": None}
    line |= _as_text("key", record.key) | _as_text("value", record.value)
    return json.dumps(line, ensure_ascii=False) + "\n"


def from_line(line: str) -> AcknowledgedRecord:
    """Decode a line of `to_line`."""
    fields = json.loads(line)
    return AcknowledgedRecord(
        fields["topic"],
        fields["partition"],
        fields["offset"],
        fields["timestamp"],
        _as_bytes("key", fields),
        _as_bytes("value", fields),
    )


def write_recording(path: Path, records: Iterable[AcknowledgedRecord]) -> int:
    """Write a recording, compressed by the suffix of its file; returns the number of records."""
    count = 0
    with open_recording(path, "w") as lines:
        for record in records:
            lines.write(to_line(record))
            count += 1
    return count


def read_recording(path: Path) -> Iterator[AcknowledgedRecord]:
    """Yield the records of a recording."""
    with open_recording(path, "r") as lines:
        yield from map(from_line, lines)


@contextmanager
def open_recording(path: Path, mode: str) -> Iterator[IO[str]]:
    """Open the lines of a recording (mode `r` or `w`), compressed by the suffix of its file: .gz, .zst or none."""
    # only "\n" ends a line: texts contain other line separators
    with _open_bytes(path, f"{mode}b") as raw, io.TextIOWrapper(raw, encoding="utf-8", newline="\n") as lines:
        yield lines


def _open_bytes(path: Path, mode: str) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path, mode, compresslevel=1))
    if path.suffix == ".zst":
        return cast(IO[bytes], zstandard.open(path, mode))
    return cast(IO[bytes], path.open(mode))


def _as_text(field: str, content: bytes | None) -> dict[str, object]:
    if content is None:
        return {}
    try:
        return {field: content.decode()}
    except UnicodeDecodeError:
        return {f"{field}_base64": base64.b64encode(content).decode()}


def _as_bytes(field: str, fields: dict[str, str | None]) -> bytes | None:
    encoded = fields.get(f"{field}_base64")
    if encoded is not None:
        return base64.b64decode(encoded)
    text = fields.get(field)
    return None if text is None else text.encode()
