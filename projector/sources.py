"""What a shadow is folded from: the topic, recordings, or the table `activity_logs`; decision 0006 compares them."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol
from uuid import UUID

from events.envelope import Record
from events.fields import recorded_at
from projector import activity_logs, positions, recording, shadow
from projector.batch import Polled, batches, pieces
from projector.broker import Span
from projector.difference import CLOCKS_DIFFER_BY, Coverage
from projector.errors import LogGap, ProjectorError
from projector.fold import read
from projector.positions import Gate, Move
from projector.projection import project
from projector.session import Connection
from projector.topic import Topic

TAIL_RECORDS = 5_000
"""What may be left to fold while the members wait."""


class Sizes(NamedTuple):
    """What a transaction holds at most."""

    records: int = 5_000
    bytes: int = 8 * 1024 * 1024


class Fold:
    """Projects into the shadow, and counts. `touched`, once it is a set, gathers the delegations spoken of."""

    def __init__(
        self,
        conn: Connection,
        token: UUID,
        sizes: Sizes,
        *,
        sample: Callable[[str], bool] | None = None,
        progress: Callable[[int, int], object] = lambda done, total: None,
    ) -> None:
        self.conn = conn
        self.token = token
        self.sizes = sizes
        self.sample = sample
        self.records = 0
        self.total = 0
        self.touched: set[str] | None = None
        self._progress = progress

    def project(self, records: Sequence[Record], moves: Sequence[Move]) -> None:
        """Fold a batch, with the shadow's positions."""
        wanted = records if self.sample is None else self._sampled(records)
        if self.touched is not None:
            self.touched.update(said.translation.delegation_id for said in read(wanted).said)
        project(self.conn, wanted, Gate(self.token, moves))
        self.records += len(records)
        self._progress(self.records, self.total)

    def polled(self, polled: Sequence[Polled]) -> None:
        """Fold what a poll gave."""
        for batch in batches(polled, max_records=self.sizes.records, max_bytes=self.sizes.bytes):
            self.project(batch.records, batch.moves)

    def _sampled(self, records: Sequence[Record]) -> list[Record]:
        """Those that speak of a delegation of the sample; where a body was left out nobody can tell, so those too."""
        assert self.sample is not None  # noqa: S101 - asked before
        said = read(records).said
        return [
            record
            for record, translation in said
            if not translation.delegation_id or self.sample(translation.delegation_id)
        ]


class Source(Protocol):
    """Where a shadow comes from. `begin` and `hold` run in a transaction of the view's session."""

    name: str

    def is_empty(self) -> bool:
        """Whether there is nothing to fold at all."""
        ...

    def can_resume(self, view: Connection) -> bool:
        """Whether a shadow of this source that was left behind can be gone on with."""
        ...

    def begin(self, view: Connection, token: UUID, *, drop_uncovered: bool) -> tuple[Coverage, int]:
        """Put what the source cannot tell into the empty shadow; what it can speak of, and how many rows it cannot."""
        ...

    def fold(self, view: Connection, into: Fold) -> None:
        """Fold everything up to where the view is, a tail aside."""
        ...

    def covered(self, view: Connection, begun: Coverage) -> Coverage:
        """What the folded source can speak of."""
        ...

    def hold(self, view: Connection, *, exclusive: bool) -> dict[int, int]:
        """The view's positions: those of this snapshot, or exclusively, with every member held up before its gate."""
        ...

    def settle(self, into: Fold, held: Mapping[int, int]) -> bool:
        """Fold the tail, exactly to these positions; whether it was short enough for members to wait for it."""
        ...

    def hand_over(self, view: Connection, held: Mapping[int, int]) -> None:
        """Let the members go on from where what was written is true, and fence what they read before."""
        ...


class FromTopic:
    """The topic from the start of its log: every step, up to exactly the view's positions."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.name = f"topic {topic.name}"

    def is_empty(self) -> bool:
        return all(span.beginning == span.end for span in self.topic.spans().values())

    def can_resume(self, view: Connection) -> bool:
        spans, reached = self.topic.spans(), shadow.reached(view, self.topic.name)
        return reached.keys() == spans.keys() and all(
            span.beginning <= reached[partition] <= span.end for partition, span in spans.items()
        )

    def begin(self, view: Connection, token: UUID, *, drop_uncovered: bool) -> tuple[Coverage, int]:
        topic, spans = self.topic, self.topic.spans()
        beginnings = {partition: span.beginning for partition, span in spans.items()}
        since = self._since(spans, shadow.now(view))
        shadow.start_at(view, topic.name, beginnings, token, topic.topic_id)
        shadow.carry_over_parked(view, topic.name, beginnings)
        carried = 0
        if any(beginnings.values()):  # a log that still begins at 0 holds each of its delegations whole
            shadow.carry_over_large_rows(view)
            carried = 0 if drop_uncovered else shadow.carry_over(view, since)
        return Coverage(since=since), carried

    def _require_no_gap(self, view: Connection, spans: Mapping[int, Span]) -> None:
        """Raises LogGap: with records missing between log and view, the log can no longer prove the view."""
        known = positions.read(view, self.topic.name)
        for partition, (offset, topic_id) in known.items():
            if topic_id is not None and self.topic.topic_id is not None and topic_id != self.topic.topic_id:
                raise LogGap(
                    f"topic {self.topic.name} was deleted and made anew since it was projected: its log cannot tell "
                    f"what the view holds. {positions.remedy()}"
                )
            span = spans.get(partition, Span(0, 0))
            if not span.beginning <= offset <= span.end:
                raise LogGap(
                    f"partition {partition} of {self.topic.name} was projected up to offset {offset}, and its log "
                    f"holds {span.beginning} to {span.end}. {positions.remedy()}"
                )

    def _since(self, spans: Mapping[int, Span], now: datetime) -> datetime:
        """The time from which on all partitions' logs are there: of the latest of their first records.

        A log that lost all its records, or whose records have no time, tells of nothing that was before now.
        """
        started = [
            recorded_at(self.topic.first_timestamp(partition, span)) or now
            for partition, span in spans.items()
            if span.end > 0
        ]
        return max(started, default=now) + CLOCKS_DIFFER_BY

    def fold(self, view: Connection, into: Fold) -> None:
        self._require_no_gap(view, self.topic.spans())
        while True:
            ranges = self._ranges(into, self._positions(view))
            left = sum(span.end - span.beginning for span in ranges.values())
            into.total = into.records + left
            self._read(into, ranges)
            if left <= TAIL_RECORDS:
                return

    def covered(self, view: Connection, begun: Coverage) -> Coverage:
        return begun

    def hold(self, view: Connection, *, exclusive: bool) -> dict[int, int]:
        if exclusive:
            shadow.fill_positions(view, self.topic.name)
            positions.lock(view, self.topic.name)
        return self._positions(view)

    def settle(self, into: Fold, held: Mapping[int, int]) -> bool:
        ranges = self._ranges(into, held)
        if sum(span.end - span.beginning for span in ranges.values()) > TAIL_RECORDS:
            return False
        self._read(into, ranges)
        return True

    def hand_over(self, view: Connection, held: Mapping[int, int]) -> None:
        positions.hand_over(view, self.topic.name, shadow.reached(view, self.topic.name), self.topic.topic_id)

    def _positions(self, view: Connection) -> dict[int, int]:
        """Where the view is; a partition that nobody has projected yet counts to its end."""
        known = positions.read(view, self.topic.name)
        if unknown := known.keys() - set(self.topic.partitions):
            raise ProjectorError(f"partitions {sorted(unknown)} were added to {self.topic.name} meanwhile: begin again")
        ends = {partition: span.end for partition, span in self.topic.spans().items() if partition not in known}
        return {**ends, **{partition: offset for partition, (offset, _) in known.items()}}

    def _ranges(self, into: Fold, until: Mapping[int, int]) -> dict[int, Span]:
        reached = shadow.reached(into.conn, self.topic.name)
        return {
            partition: Span(offset, until[partition])
            for partition, offset in reached.items()
            if offset < until.get(partition, 0)
        }

    def _read(self, into: Fold, ranges: Mapping[int, Span]) -> None:
        if ranges:
            for polled in self.topic.read(ranges):
                into.polled(polled)


class FromActivityLogs:
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
        return Coverage(proves_absence=False, steps=False), 0

    def fold(self, view: Connection, into: Fold) -> None:
        if self._at is not None:
            return
        with activity_logs.snapshot(self.conn) as at:
            into.total = activity_logs.count(self.conn)
            _fold_lines(into, activity_logs.TABLE, activity_logs.read(self.conn), 0)
        self._at = at

    def covered(self, view: Connection, begun: Coverage) -> Coverage:
        return begun._replace(until=self._at)

    def hold(self, view: Connection, *, exclusive: bool) -> dict[int, int]:
        return _hold(view, self.topic, exclusive=exclusive)

    def settle(self, into: Fold, held: Mapping[int, int]) -> bool:
        return True

    def hand_over(self, view: Connection, held: Mapping[int, int]) -> None:
        _rewind(view, self.topic, held, self._at)


class FromRecordings:
    """Recordings: every step of what they hold, and nothing of what they do not."""

    def __init__(self, paths: Sequence[Path], topic: Topic | None) -> None:
        self.paths = paths
        self.topic = topic
        self.name = "recordings " + ", ".join(str(path) for path in paths)
        self._until: datetime | None = None

    def is_empty(self) -> bool:
        return all(next(recording.read(path), None) is None for path in self.paths)

    def can_resume(self, view: Connection) -> bool:
        return True

    def begin(self, view: Connection, token: UUID, *, drop_uncovered: bool) -> tuple[Coverage, int]:
        for path in self.paths:
            shadow.start_at(view, str(path), {0: 0}, token, None)
        return Coverage(proves_absence=False), 0

    def fold(self, view: Connection, into: Fold) -> None:
        for path in self.paths:
            done = shadow.reached(into.conn, str(path))[0]
            _fold_lines(into, str(path), islice(recording.read(path), done, None), done)
        self._until = shadow.latest_change(view)

    def covered(self, view: Connection, begun: Coverage) -> Coverage:
        return begun._replace(until=self._until)

    def hold(self, view: Connection, *, exclusive: bool) -> dict[int, int]:
        return _hold(view, self.topic, exclusive=exclusive)

    def settle(self, into: Fold, held: Mapping[int, int]) -> bool:
        return True

    def hand_over(self, view: Connection, held: Mapping[int, int]) -> None:
        _rewind(view, self.topic, held, self._until)


def _fold_lines(into: Fold, topic: str, lines: Iterable[Record], done: int) -> None:
    """Fold records that have no log, with the number of them as the shadow's position."""
    for piece in pieces(lines, max_records=into.sizes.records, max_bytes=into.sizes.bytes):
        into.project(piece, [Move(topic, 0, done, done + len(piece))])
        done += len(piece)


def _hold(view: Connection, topic: Topic | None, *, exclusive: bool) -> dict[int, int]:
    if not exclusive or topic is None:
        return {}
    return positions.lock(view, topic.name)


def _rewind(view: Connection, topic: Topic | None, held: Mapping[int, int], at: datetime | None) -> None:
    """Let the members project again what came after `at`: what they made of it, they made of rows that were wrong.

    Where the log does not hold a position any more, they begin at its beginning: the source knows what was lost.
    """
    if topic is None:
        return
    spans = {partition: span for partition, span in topic.spans().items() if partition in held}
    known = positions.read(view, topic.name)
    after = {} if at is None else topic.offsets_at(dict.fromkeys(spans, _ms(at - CLOCKS_DIFFER_BY)))
    offsets = {}
    for partition, span in spans.items():
        offset, topic_id = known[partition]
        made_anew = topic_id is not None and topic.topic_id is not None and topic_id != topic.topic_id
        gap = made_anew or not span.beginning <= offset <= span.end
        offsets[partition] = span.beginning if gap else min(offset, after.get(partition, offset))
    positions.hand_over(view, topic.name, offsets, topic.topic_id)


def _ms(at: datetime) -> int:
    return max(0, int(at.timestamp() * 1000))


def encoded(coverage: Coverage) -> str:
    """A coverage as JSON, to be found again by whoever goes on with the shadow."""
    return json.dumps({name: v.isoformat() if isinstance(v, datetime) else v for name, v in coverage._asdict().items()})


def decoded(text: str) -> Coverage:
    """The coverage that was noted."""
    held = json.loads(text)
    times = {name: held[name] and datetime.fromisoformat(held[name]) for name in ("since", "until")}
    return Coverage(**{**held, **times})
