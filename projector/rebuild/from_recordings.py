"""Recordings as the source of a rebuild. docs/decisions/0006 compares the sources."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from uuid import UUID

from projector.contract.envelope import Record
from projector.contract.fields import storable
from projector.domain.fold import translate_each
from projector.kafka.reader import TopicReader
from projector.postgres.connection import Connection
from projector.projection.batch import chunks
from projector.rebuild import shadow
from projector.rebuild.drift import Coverage
from projector.rebuild.source import ShadowProjector, WithoutOffsets, fold_lines, rewind
from projector.recordings.file import read_recording


class FromRecordings(WithoutOffsets):
    """Recordings: every step of the records in them. Exports of `activity_logs` are read like that table.

    Only such an export can repair a gap in the log, because it is complete. A recording may lack any record.
    """

    def __init__(self, paths: Sequence[Path], topic: TopicReader | None) -> None:
        self.paths = list(dict.fromkeys(paths))
        self.topic = topic
        self.name = "recordings " + ", ".join(map(_name, self.paths))
        self._exports = all(map(_is_export, self.paths))
        self.has_total_order = self._exports
        self._until: datetime | None = None

    def is_empty(self) -> bool:
        return all(next(read_recording(path), None) is None for path in self.paths)

    def read_again(self, view: Connection) -> Iterator[Record]:
        for path in self.paths:
            yield from read_recording(path)

    def can_resume(self, view: Connection) -> bool:
        return all(shadow.source_ids(view, _name(path)) == {_stamp(path)} for path in self.paths)

    def begin(self, view: Connection, token: UUID, *, drop_uncovered: bool) -> tuple[Coverage, int]:
        for path in self.paths:
            shadow.start_at(view, _name(path), {0: 0}, token, _stamp(path))
        return Coverage(proves_absence=False, is_log=False, steps=not self._exports), 0

    def fold(self, view: Connection, into: ShadowProjector) -> None:
        if self._exports:
            into.verdicts = {}
        for path in self.paths:
            done = shadow.positions(into.conn, _name(path))[0]
            if self._exports:  # an interrupted run has folded the first lines
                for piece in chunks(islice(read_recording(path), done), into.limits):
                    into.note_verdicts(translate_each(piece))
            fold_lines(into, _name(path), islice(read_recording(path), done, None), done)
        into.finish()
        self._until = shadow.latest_change(view)

    def coverage(self, view: Connection, initial: Coverage) -> Coverage:
        return initial._replace(until=self._until)

    def release_positions(self, view: Connection, until: Mapping[int, int], *, wrote: bool, whole: bool) -> None:
        if self.topic is not None:
            rewind(view, self.topic, self._until if wrote else None, over_gaps=whole and self._exports)


def _is_export(path: Path) -> bool:
    """Whether a file holds rows of the table. Records of a log have a topic, and rows get the file's name for it."""
    first = next(read_recording(path), None)
    return first is not None and first.topic == storable(path.name)


def _name(path: Path) -> str:
    """The path as a text that Postgres can store and a terminal can show: a file's name need not be UTF-8."""
    return str(path).encode(errors="backslashreplace").decode()


def _stamp(path: Path) -> str:
    """An id of the file that changes if another file replaces it."""
    status = path.stat()
    return f"{status.st_ino}/{status.st_size}/{status.st_mtime_ns}"
