"""The topic as what a shadow is folded from: every step, from the start of the log to exactly where the view is."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from projector.contract.fields import recorded_at
from projector.domain.positions import LogRange, require_no_log_gap
from projector.errors import Misconfigured, ProjectorError
from projector.kafka.reader import TopicReader
from projector.postgres import positions
from projector.postgres.connection import Connection
from projector.rebuild import repair, shadow
from projector.rebuild.drift import CLOCKS_DIFFER_BY, Coverage
from projector.rebuild.source import ShadowProjector

TAIL_RECORDS = 5_000
"""What may be left to fold while the members wait."""
TAIL_SECONDS = 3.0
"""How long they wait for a broker that gives nothing."""


class FromTopic:
    """The topic from the start of its log: every step, up to exactly the view's positions."""

    def __init__(self, topic: TopicReader, *, ahead: bool = True) -> None:
        """`ahead`: fold partitions that nobody has projected yet to their end, which the view gets with the rows."""
        self.topic = topic
        self._ahead = ahead
        self.name = f"topic {topic.name}"

    def is_empty(self) -> bool:
        return all(span.beginning == span.end for span in self.topic.log_ranges().values())

    def can_resume(self, view: Connection) -> bool:
        spans, reached = self.topic.log_ranges(), shadow.reached(view, self.topic.name)
        if shadow.source_ids(view, self.topic.name) != {self.topic.topic_id} or reached.keys() != spans.keys():
            return False
        until = self._positions(view)
        return all(span.beginning <= reached[number] <= until.get(number, 0) for number, span in spans.items())

    def begin(self, view: Connection, token: UUID, *, drop_uncovered: bool) -> tuple[Coverage, int]:
        self._require_no_gap(view)
        topic, spans = self.topic, self.topic.log_ranges()
        beginnings = {partition: span.beginning for partition, span in spans.items()}
        is_whole = not any(beginnings.values())
        since = self._since(view, spans, is_whole=is_whole)
        shadow.start_at(view, topic.name, beginnings, token, topic.topic_id)
        shadow.carry_over_parked(view, topic.name, beginnings)
        carried = 0
        if not is_whole:  # a log that still begins at 0 holds whole what it holds at all
            shadow.carry_over_large_rows(view)
            carried = 0 if drop_uncovered else shadow.carry_over(view, since)
        return Coverage(since=since, proves_absence=self._is_alone(view)), carried

    def _is_alone(self, view: Connection) -> bool:
        """Whether every row of the view comes of this topic; raises Misconfigured where none does."""
        projected = positions.topics(view)
        if projected and self.topic.name not in projected:
            raise Misconfigured(
                f"nothing of topic {self.topic.name} was ever projected here, but of {', '.join(sorted(projected))}: "
                "set PROJECTOR_TOPIC"
            )
        return projected <= {self.topic.name}

    def _require_no_gap(self, view: Connection) -> None:
        """Raises LogGap: with records missing between log and view, the log can no longer prove the view."""
        known = positions.read(view, self.topic.name)
        spans = self.topic.log_ranges()  # after the positions, which advance: a partition never ends before them
        for partition, position in known.items():
            require_no_log_gap(position, self.topic.topic_id, spans.get(partition, LogRange(0, 0)))

    def _since(self, view: Connection, spans: Mapping[int, LogRange], *, is_whole: bool) -> datetime:
        """The time from which on the log is there; what was created before may have a history that it lacks.

        A log that begins at 0 is there from its first record on. Of a shortened one each partition is, from the latest
        of its first few records on, as some may bear odd times; one that lost all of them, from the last on that was
        projected.
        """
        now, last = shadow.now(view), positions.last_records(view, self.topic.name)
        opened = []
        for partition, span in spans.items():
            if span.end > 0:
                times = self.topic.first_timestamps(partition, span)
                known = recorded_at(min(times) if is_whole else max(times)) if times else last.get(partition)
                opened.append(known or now)
        if is_whole:
            return _shifted(min(opened, default=now), -CLOCKS_DIFFER_BY)
        return _shifted(max(opened, default=now), CLOCKS_DIFFER_BY)

    def fold(self, view: Connection, into: ShadowProjector) -> None:
        self._require_no_gap(view)
        while True:
            ranges = self._ranges(into, self._positions(view))
            left = sum(span.end - span.beginning for span in ranges.values())
            into.total = into.records + left
            self._read(into, ranges)
            if left <= TAIL_RECORDS:
                return

    def coverage(self, view: Connection, begun: Coverage) -> Coverage:
        return begun

    def lock_positions(self, view: Connection, *, exclusive: bool) -> dict[int, int]:
        if exclusive:
            positions.lock(view, self.topic.name)
        return self._positions(view)

    def catch_up(self, into: ShadowProjector, held: Mapping[int, int]) -> bool:
        ranges = self._ranges(into, held)
        if sum(span.end - span.beginning for span in ranges.values()) > TAIL_RECORDS:
            return False
        self._read(into, ranges, silent_seconds=TAIL_SECONDS)
        return True

    def release_positions(self, view: Connection, held: Mapping[int, int], *, wrote: bool, whole: bool) -> None:
        if whole:
            repair.fill_positions(view, self.topic.name)
        if not wrote:
            return
        reached = shadow.reached(view, self.topic.name)
        if not whole:
            reached = {partition: min(offset, held[partition]) for partition, offset in reached.items()}
        positions.reset(view, self.topic.name, reached, self.topic.topic_id)

    def _positions(self, view: Connection) -> dict[int, int]:
        """Where the view is."""
        known = positions.read(view, self.topic.name)
        if unknown := known.keys() - set(self.topic.partitions):
            raise ProjectorError(f"partitions {sorted(unknown)} were added to {self.topic.name} meanwhile: begin again")
        spans = self.topic.log_ranges(set(self.topic.partitions) - known.keys())
        unclaimed = {partition: span.end if self._ahead else span.beginning for partition, span in spans.items()}
        return {**unclaimed, **{partition: position.offset for partition, position in known.items()}}

    def _ranges(self, into: ShadowProjector, until: Mapping[int, int]) -> dict[int, LogRange]:
        reached = shadow.reached(into.conn, self.topic.name)
        return {
            partition: LogRange(offset, until[partition])
            for partition, offset in reached.items()
            if offset < until.get(partition, 0)
        }

    def _read(self, into: ShadowProjector, ranges: Mapping[int, LogRange], silent_seconds: float | None = None) -> None:
        if ranges:
            for polled in self.topic.read(ranges, silent_seconds=silent_seconds):
                into.polled(polled)


def _shifted(at: datetime, by: timedelta) -> datetime:
    try:
        return at + by
    except OverflowError:
        return at
