"""The other sources that a shadow is folded from: the table `activity_logs`, and recordings. Decision 0006 compares."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from uuid import UUID

from events.envelope import Record
from events.fields import storable
from projector import activity_logs, positions, recording, shadow, swap
from projector.batch import pieces
from projector.difference import CLOCKS_DIFFER_BY, Coverage
from projector.folding import Fold
from projector.positions import Move
from projector.session import Connection
from projector.topic import Topic


class _WithoutOffsets:
    """A source that stands at no position of the view's: there is no tail to fold, and members are only held up."""

    topic: Topic | None

    def hold(self, view: Connection, *, exclusive: bool) -> dict[int, int]:
        if not exclusive or self.topic is None:
            return {}
        return positions.lock(view, self.topic.name)

    def settle(self, into: Fold, held: Mapping[int, int]) -> bool:
        return True


class FromActivityLogs(_WithoutOffsets):
    """The table `activity_logs`: where each delegation stands, and not each step of it."""

    name = "table activity_logs"

    def __init__(self, conn: Connection, topic: Topic | None) -> None:
        self.conn = conn
        self.topic = topic
        self._at: datetime | None = None

    def is_empty(self) -> bool:
        return False

    def can_resume(self, view: Connection) -> bool:
        return False  # the snapshot ended with the session that read it

    def begin(self, view: Connection, token: UUID, *, drop_uncovered: bool) -> tuple[Coverage, int]:
        shadow.start_at(view, activity_logs.TABLE, {0: 0}, token, None)
        return Coverage(proves_absence=False, is_log=False, steps=False), 0

    def fold(self, view: Connection, into: Fold) -> None:
        if self._at is not None:
            return
        with activity_logs.snapshot(self.conn) as at:
            into.total = activity_logs.count(self.conn)
            _fold_lines(into, activity_logs.TABLE, activity_logs.read(self.conn), 0)
        self._at = at

    def covered(self, view: Connection, begun: Coverage) -> Coverage:
        return begun._replace(until=self._at)

    def hand_over(self, view: Connection, held: Mapping[int, int], *, wrote: bool, whole: bool) -> None:
        if self.topic is not None:
            _rewind(view, self.topic, self._at if wrote else None, over_gaps=whole)


class FromRecordings(_WithoutOffsets):
    """Recordings: every step of what they hold, and nothing of what they do not; exports of `activity_logs` are as it.

    Only such an export mends a gap in the log: of what else they lack recordings tell nothing.
    """

    def __init__(self, paths: Sequence[Path], topic: Topic | None) -> None:
        self.paths = list(dict.fromkeys(paths))
        self.topic = topic
        self.name = "recordings " + ", ".join(map(str, self.paths))
        self._exports = all(map(_is_export, self.paths))
        self._until: datetime | None = None

    def is_empty(self) -> bool:
        return all(next(recording.read(path), None) is None for path in self.paths)

    def can_resume(self, view: Connection) -> bool:
        return all(shadow.source_ids(view, str(path)) == {_stamp(path)} for path in self.paths)

    def begin(self, view: Connection, token: UUID, *, drop_uncovered: bool) -> tuple[Coverage, int]:
        for path in self.paths:
            shadow.start_at(view, str(path), {0: 0}, token, _stamp(path))
        return Coverage(proves_absence=False, is_log=False, steps=not self._exports), 0

    def fold(self, view: Connection, into: Fold) -> None:
        for path in self.paths:
            done = shadow.reached(into.conn, str(path))[0]
            _fold_lines(into, str(path), islice(recording.read(path), done, None), done)
        into.finish()
        self._until = shadow.latest_change(view)

    def covered(self, view: Connection, begun: Coverage) -> Coverage:
        return begun._replace(until=self._until)

    def hand_over(self, view: Connection, held: Mapping[int, int], *, wrote: bool, whole: bool) -> None:
        if self.topic is not None:
            _rewind(view, self.topic, self._until if wrote else None, over_gaps=whole and self._exports)


def _rewind(view: Connection, topic: Topic, at: datetime | None, *, over_gaps: bool) -> None:
    """Let the members project again what came after `at`: what they made of it, they made of rows that were wrong.

    `over_gaps`: where the log does not hold a position any more, they begin at its beginning; of a topic that was made
    anew with fewer partitions, the positions of the others are forgotten.
    """
    known = positions.read(view, topic.name)
    spans = topic.spans(known.keys() & set(topic.partitions))
    if over_gaps and topic.topic_id is not None:
        swap.forget_positions(view, topic.name, topic.partitions, topic.topic_id)
    after = {} if at is None else topic.offsets_at(dict.fromkeys(spans, _ms(at - CLOCKS_DIFFER_BY)))
    offsets = {}
    for partition, span in spans.items():
        offset, topic_id = known[partition]
        made_anew = topic_id is not None and topic.topic_id is not None and topic_id != topic.topic_id
        if made_anew or not span.beginning <= offset <= span.end:
            if over_gaps:
                offsets[partition] = span.beginning
        elif at is not None:
            offsets[partition] = min(offset, after.get(partition, offset))
    positions.hand_over(view, topic.name, offsets, topic.topic_id)


def _ms(at: datetime) -> int:
    return max(0, int(at.timestamp() * 1000))


def _fold_lines(into: Fold, topic: str, lines: Iterable[Record], done: int) -> None:
    """Fold records that have no log, with the number of them as the shadow's position."""
    for piece in pieces(lines, max_records=into.sizes.records, max_bytes=into.sizes.bytes):
        into.project(piece, [Move(topic, 0, done, done + len(piece))])
        done += len(piece)


def _is_export(path: Path) -> bool:
    """Whether a file holds rows of the table and not records of a log, which have a topic of their own."""
    first = next(recording.read(path), None)
    return first is not None and first.topic == storable(path.name)


def _stamp(path: Path) -> str:
    """What tells a file from another one that was put in its place."""
    found = path.stat()
    return f"{found.st_ino}/{found.st_size}/{found.st_mtime_ns}"
