"""`projector record`: writes ranges of the topic into a recording. The file gets its name only when it is complete."""

import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from projector.contract.envelope import Activity, Record, open_value
from projector.contract.facts import Translation
from projector.contract.translate import translate
from projector.contract.unreadable import Unreadable
from projector.domain.positions import LogRange
from projector.errors import Misconfigured, ProjectorError
from projector.kafka.reader import TopicReader
from projector.recordings.file import RecordedRecord, write_recording
from projector.recordings.redaction import Redaction

_SUFFIXES = (".jsonl", ".gz", ".zst")


class Boundary(NamedTuple):
    """Where to start or to end: at offsets, or at a time in ms since 1970. Without both, at that end of the log."""

    offsets: Mapping[int | None, int] = {}
    """Partition → offset; the key None stands for the partitions that are not named."""
    time: int | None = None


def ranges(topic: TopicReader, start: Boundary, end: Boundary) -> dict[int, LogRange]:
    """Partition → the offsets to read. If a boundary names partitions, only these are read.

    Raises Misconfigured if a boundary is outside of the log.
    """
    log = topic.log_ranges(_partitions(topic, start, end))
    starts = _offsets(topic, log, start, {partition: whole.beginning for partition, whole in log.items()})
    ends = _offsets(topic, log, end, {partition: whole.end for partition, whole in log.items()})
    for partition, offset in starts.items():
        if offset > ends[partition] and start.offsets and end.offsets:
            raise Misconfigured(
                f"in partition {partition}, --from-offset {offset} is after --to-offset {ends[partition]}: "
                "exchange them"
            )
    # A time can give a start after the end. Such a range is empty.
    return {partition: LogRange(offset, max(offset, ends[partition])) for partition, offset in starts.items()}


def _partitions(topic: TopicReader, *boundaries: Boundary) -> list[int]:
    named = {partition for boundary in boundaries for partition in boundary.offsets if partition is not None}
    if unknown := sorted(named.difference(topic.partitions)):
        partitions = ", ".join(map(str, topic.partitions))
        raise Misconfigured(f"{topic.name} has no partition {unknown[0]}: name one of {partitions}")
    return sorted(named) or topic.partitions


def _offsets(
    topic: TopicReader, log: Mapping[int, LogRange], boundary: Boundary, default: Mapping[int, int]
) -> dict[int, int]:
    """Partition → the offset of the boundary, within the log."""
    if boundary.time is not None:
        by_time = topic.offsets_at(dict.fromkeys(log, boundary.time))
        # A record that was written meanwhile can be the first one of this time.
        return {partition: min(by_time.get(partition, whole.end), whole.end) for partition, whole in log.items()}
    offsets = {}
    for partition, whole in log.items():
        offset = boundary.offsets.get(partition, boundary.offsets.get(None))
        if offset is not None and not whole.beginning <= offset <= whole.end:
            raise Misconfigured(
                f"offset {offset} is outside of partition {partition} of {topic.name}, whose log holds "
                f"{whole.beginning} to {whole.end}: name one of these"
            )
        offsets[partition] = default[partition] if offset is None else offset
    return offsets


class Selection:
    """Which records to record: all, those of one caller, those of some delegations, or those of both.

    The caller of a request is the one that `translate` reads. For other records, it is `source_id` or `workspace_id`.
    """

    def __init__(self, caller: str | None = None, delegations: frozenset[str] = frozenset()) -> None:
        self._caller = caller
        self._delegations = delegations
        self.missing = set(delegations)
        """The delegations of which no record was selected yet."""
        self._rows: dict[str, str] = {}  # id of a large activity row → delegation id

    @property
    def is_all(self) -> bool:
        return self._caller is None and not self._delegations

    def includes(self, record: Record) -> bool:
        """Whether a record is selected. One that reports no event belongs to no caller and to no delegation."""
        if self.is_all:
            return True
        try:
            meaning = translate(record)
        except Unreadable:
            return False
        if not isinstance(meaning, Translation):
            return False
        delegation_id = self._delegation_of(meaning)
        if self._delegations and delegation_id not in self._delegations:
            return False
        if not self._is_of_caller(record, meaning):
            return False
        self.missing.discard(delegation_id)
        return True

    def _delegation_of(self, meaning: Translation) -> str:
        """The delegation of an update without its bodies is the one that the same activity row had before."""
        delegation_id = meaning.delegation_id or self._rows.get(meaning.unavailable_row_id or "", "")
        if meaning.large_row_id is not None and delegation_id in self._delegations:
            self._rows[meaning.large_row_id] = delegation_id
        return delegation_id

    def _is_of_caller(self, record: Record, meaning: Translation) -> bool:
        if self._caller is None:
            return True
        if meaning.request is not None:
            return meaning.request.caller_id == self._caller
        activity = open_value(record.value)
        row = activity.row if isinstance(activity, Activity) else {}
        columns = row.get("source_id"), row.get("workspace_id")
        return self._caller in [column.lower() for column in columns if isinstance(column, str)]


class Recorder:
    """Writes ranges of a topic into a recording, and counts its records."""

    def __init__(self, topic: TopicReader, selection: Selection, redaction: Redaction | None = None) -> None:
        self.records: Counter[int] = Counter()
        """Partition → number of records in the recording."""
        self.read = 0  # records that were read, selected or not
        self._topic = topic
        self._selection = selection
        self._redaction = redaction

    def record(
        self, within: Mapping[int, LogRange], out: Path, *, replace: bool, progress: Callable[[int], None]
    ) -> bool:
        """Write the recording, unless no record is selected: then no file is left. Returns whether it was written.

        Call `require_writable(out)` before. `progress` gets the number of offsets per step.
        """
        with _temporary_file(out) as file:
            if written := write_recording(file, self.lines(within, progress)) > 0:
                _publish(file, out, replace=replace)
        return written

    def lines(self, within: Mapping[int, LogRange], progress: Callable[[int], None]) -> Iterator[RecordedRecord]:
        """The selected records, in the order in which they are recorded."""
        for merged in self._topic.read_merged(within):
            self.read += len(merged.records)
            for record in filter(self._selection.includes, merged.records):
                self.records[record.partition] += 1
                yield self._line(record)
            progress(sum(part.next_offset - part.start for part in merged.parts))

    def _line(self, record: Record) -> RecordedRecord:
        line = RecordedRecord(record.topic, record.partition, record.offset, record.timestamp, record.key, record.value)
        return self._redaction.redacted(line) if self._redaction else line


def require_writable(out: Path, *, replace: bool) -> None:
    """Raises Misconfigured if a recording cannot be written under this name."""
    wanted = "name a file that ends in .jsonl, .gz or .zst, or - for standard output"
    if out.is_dir():
        raise Misconfigured(f"--out {out} is a folder: {wanted}")
    if out.exists() and not out.is_file():
        raise Misconfigured(f"--out {out} is a device or a pipe: {wanted}")
    if out.suffix not in _SUFFIXES:
        raise Misconfigured(f"--out {out} has another suffix than a recording: {wanted}")
    if not out.parent.is_dir():
        raise Misconfigured(f"{out} cannot be written: there is no folder {out.parent}")
    if out.exists() and not replace:
        raise Misconfigured(f"{out} already exists: name another file, or add --force to replace it")


@contextmanager
def _temporary_file(out: Path) -> Iterator[Path]:
    """A name beside `out` for a file that is deleted at the end."""
    temporary = out.with_name(f".{out.stem}.{secrets.token_hex(4)}{out.suffix}")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _publish(file: Path, out: Path, *, replace: bool) -> None:
    """Rename a complete file to `out`. Raises ProjectorError if the disk does not hold it."""
    try:
        with file.open("rb") as content:
            os.fsync(content.fileno())
        require_writable(out, replace=replace)  # another process may have written it meanwhile
        file.replace(out)
    except OSError as error:
        raise ProjectorError(f"the recording {out} cannot be written: {error.strerror or error}") from error
