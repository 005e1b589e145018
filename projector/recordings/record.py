"""Recording: the topic's records within bounds into a file, which is there whole or not at all."""

import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from projector.contract.envelope import Record, open_value
from projector.contract.translate import Translation, translate
from projector.contract.unreadable import Unreadable
from projector.domain.positions import LogRange
from projector.errors import Misconfigured
from projector.kafka.reader import TopicReader
from projector.recordings.file import RecordedRecord, write_recording
from projector.recordings.redaction import Redaction

SUFFIXES = (".jsonl", ".gz", ".zst")


class Bound(NamedTuple):
    """Where to begin or to end: at offsets by partition, None meaning all others, or at a time in ms since 1970."""

    offsets: Mapping[int | None, int] = {}
    time: int | None = None


def ranges(topic: TopicReader, first: Bound, end: Bound) -> dict[int, LogRange]:
    """What to read of each partition, up to the end of the log at the most; of those alone that a bound names, if any.

    Raises Misconfigured where a bound lies outside of the log.
    """
    held = topic.log_ranges(_partitions(topic, first, end))
    begins = _places(topic, held, first, {partition: span.beginning for partition, span in held.items()})
    ends = _places(topic, held, end, {partition: span.end for partition, span in held.items()})
    for partition, begin in begins.items():
        if begin > ends[partition] and first.offsets and end.offsets:
            raise Misconfigured(
                f"in partition {partition}, --from-offset {begin} is after --to-offset {ends[partition]}"
            )
    return {partition: LogRange(begin, max(begin, ends[partition])) for partition, begin in begins.items()}


def _partitions(topic: TopicReader, *bounds: Bound) -> list[int]:
    named = {partition for bound in bounds for partition in bound.offsets if partition is not None}
    if unknown := sorted(named.difference(topic.partitions)):
        there = ", ".join(map(str, topic.partitions))
        raise Misconfigured(f"{topic.name} has no partition {unknown[0]}: name one of {there}")
    return sorted(named) or topic.partitions


def _places(
    topic: TopicReader, held: Mapping[int, LogRange], bound: Bound, otherwise: Mapping[int, int]
) -> dict[int, int]:
    """Partition → the offset at which the bound lies."""
    if bound.time is not None:
        found = topic.offsets_at(dict.fromkeys(held, bound.time))
        return {partition: min(found.get(partition, span.end), span.end) for partition, span in held.items()}
    anywhere = bound.offsets.get(None)
    places = {}
    for partition, span in held.items():
        offset = bound.offsets.get(partition, anywhere)
        if offset is not None and not span.beginning <= offset <= span.end:
            raise Misconfigured(
                f"offset {offset} is outside of partition {partition} of {topic.name}, whose log holds "
                f"{span.beginning} to {span.end}: name one of these"
            )
        places[partition] = otherwise[partition] if offset is None else offset
    return places


class Selection:
    """Which records are wanted: all, or those that say something of a caller, of some delegations, or of both.

    A record of a caller is one whose row bears it as its source or as its workspace, as `translate` reads it.
    """

    def __init__(self, caller: str | None = None, delegations: frozenset[str] = frozenset()) -> None:
        self._caller = caller
        self._delegations = delegations
        self._rows: dict[str, str] = {}

    @property
    def is_all(self) -> bool:
        return self._caller is None and not self._delegations

    def wants(self, record: Record) -> bool:
        """Whether a record is wanted; one that cannot be read or says nothing is of nobody."""
        if self.is_all:
            return True
        try:
            meaning = translate(record)
        except Unreadable:
            return False
        return (
            isinstance(meaning, Translation) and self._is_of_delegation(meaning) and self._is_of_caller(record, meaning)
        )

    def _is_of_delegation(self, meaning: Translation) -> bool:
        """An update whose bodies were left out is of the delegation that its activity row was of before."""
        if not self._delegations:
            return True
        delegation_id = meaning.delegation_id or self._rows.get(meaning.unavailable_row_id or "")
        if delegation_id not in self._delegations:
            return False
        if meaning.large_row_id is not None:
            self._rows[meaning.large_row_id] = delegation_id
        return True

    def _is_of_caller(self, record: Record, meaning: Translation) -> bool:
        if self._caller is None:
            return True
        if meaning.request is not None:
            return meaning.request.caller_id == self._caller
        activity = open_value(record.value)
        columns = () if activity is None else (activity.row.get("source_id"), activity.row.get("workspace_id"))
        return self._caller in [column.lower() for column in columns if isinstance(column, str)]


class Recorder:
    """Reads ranges of a topic into a recording, and counts."""

    def __init__(self, topic: TopicReader, selection: Selection, redaction: Redaction | None = None) -> None:
        self.records: Counter[int] = Counter()
        """Partition → records that were recorded."""
        self.read = 0
        self._topic = topic
        self._selection = selection
        self._redaction = redaction

    def record(
        self, within: Mapping[int, LogRange], out: Path, *, replace: bool, progress: Callable[[int], None]
    ) -> None:
        """Write the recording; `progress` is told by how many offsets reading moved on. `out` must be `writable`."""
        with _whole(out, replace=replace) as file:
            write_recording(file, self._lines(within, progress))

    def _lines(self, within: Mapping[int, LogRange], progress: Callable[[int], None]) -> Iterator[RecordedRecord]:
        for polled in self._topic.read(within):
            for part in sorted(polled, key=lambda part: part.partition):
                self.read += len(part.records)
                for record in filter(self._selection.wants, part.records):
                    self.records[part.partition] += 1
                    yield self._line(record)
                progress(part.next_offset - part.start)

    def _line(self, record: Record) -> RecordedRecord:
        line = RecordedRecord(record.topic, record.partition, record.offset, record.timestamp, record.key, record.value)
        return self._redaction.redacted(line) if self._redaction else line


def writable(out: Path, *, replace: bool) -> None:
    """Raises Misconfigured where a recording cannot be of this name."""
    if out.suffix not in SUFFIXES:
        raise Misconfigured(f"{out} is no name of a recording: let it end in {', '.join(SUFFIXES)}")
    if not out.parent.is_dir():
        raise Misconfigured(f"{out} cannot be written: there is no folder {out.parent}")
    if out.is_dir():
        raise Misconfigured(f"{out} is a folder: name a file")
    if out.exists() and not replace:
        raise Misconfigured(f"{out} is there already: name another file, or add --force to replace it")


@contextmanager
def _whole(out: Path, *, replace: bool) -> Iterator[Path]:
    """A file to write that gets its name when all is written, and is gone if it is not."""
    beside = out.with_name(f".{out.stem}.{secrets.token_hex(4)}{out.suffix}")
    try:
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        writable(out, replace=replace)  # somebody may have been faster
        beside.replace(out)
    finally:
        beside.unlink(missing_ok=True)
