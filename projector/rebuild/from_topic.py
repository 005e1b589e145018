"""The topic as the source of a rebuild: every step, from the beginning of its log up to the view's positions."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from projector.contract.envelope import Record
from projector.contract.fields import recorded_at
from projector.domain.clocks import CLOCKS_DIFFER_BY
from projector.domain.positions import LogRange, require_no_log_gap
from projector.errors import Misconfigured, ProjectorError
from projector.kafka.compaction import MissingRecords
from projector.kafka.reader import TopicReader
from projector.postgres import positions
from projector.postgres.connection import Connection
from projector.rebuild import repair, repeated, shadow
from projector.rebuild.drift import Coverage
from projector.rebuild.source import ShadowProjector

TAIL_RECORDS = 5_000
"""The longest tail that is folded while the members wait."""
TAIL_SECONDS = 3.0
"""How long the members wait for a broker that returns no records."""


class FromTopic:
    """The topic from the beginning of its log up to exactly the view's positions."""

    def __init__(self, topic: TopicReader, *, ahead: bool = True) -> None:
        """`ahead`: fold partitions without a position up to their end, which becomes their position; else skip them."""
        self.topic = topic
        self._ahead = ahead
        self._missing = MissingRecords()
        self._complete: tuple[Mapping[int, int], datetime] | None = None
        self.name = f"topic {topic.name}"
        self.has_total_order = len(topic.partitions) == 1

    def is_empty(self) -> bool:
        return all(log_range.beginning == log_range.end for log_range in self.topic.log_ranges().values())

    def read_again(self, view: Connection) -> Iterator[Record]:
        folded, log_ranges = shadow.positions(view, self.topic.name), self.topic.log_ranges()
        ranges = {each: LogRange(log_ranges[each].beginning, end) for each, end in folded.items()}
        for polled in self.topic.read(ranges):
            for part in polled:
                yield from part.records

    def can_resume(self, view: Connection) -> bool:
        log_ranges, folded = self.topic.log_ranges(), shadow.positions(view, self.topic.name)
        if shadow.source_ids(view, self.topic.name) != {self.topic.topic_id} or folded.keys() != log_ranges.keys():
            return False
        until = self._positions(view)
        return all(
            log_range.beginning <= folded[partition] <= until.get(partition, 0)
            for partition, log_range in log_ranges.items()
        )

    def begin(self, view: Connection, token: UUID, *, drop_uncovered: bool) -> tuple[Coverage, int]:
        self._require_no_gap(view)
        topic, log_ranges = self.topic, self.topic.log_ranges()
        beginnings = {partition: log_range.beginning for partition, log_range in log_ranges.items()}
        is_whole = not any(beginnings.values())
        since = self._since(view, log_ranges, is_whole=is_whole)
        shadow.start_at(view, topic.name, beginnings, token, topic.topic_id)
        shadow.carry_over_parked(view, topic.name, beginnings)
        repeated.carry_over(view, topic.name, beginnings)
        carried = 0
        if not is_whole:  # a log that begins at 0 has the whole history of every row that it has
            shadow.carry_over_large_rows(view)
            carried = 0 if drop_uncovered else shadow.carry_over_rows(view, since)
        return Coverage(since=since, proves_absence=self._is_alone(view)), carried

    def _is_alone(self, view: Connection) -> bool:
        """Whether the view is made of this topic alone; raises Misconfigured if it is made of others alone."""
        projected = positions.topics(view)
        if projected and self.topic.name not in projected:
            raise Misconfigured(
                f"no record of topic {self.topic.name} was ever projected into this database, but records of "
                f"{', '.join(sorted(projected))} were: set PROJECTOR_TOPIC to the topic of the view"
            )
        return projected <= {self.topic.name}

    def _require_no_gap(self, view: Connection) -> None:
        """Raises LogGap: with records missing between log and view, the log can no longer prove the view."""
        known = positions.read(view, self.topic.name)
        log_ranges = self.topic.log_ranges()  # after the positions, which advance: a partition never ends before them
        for partition, position in known.items():
            require_no_log_gap(position, self.topic.topic_id, log_ranges.get(partition, LogRange(0, 0)))

    def _since(self, view: Connection, log_ranges: Mapping[int, LogRange], *, is_whole: bool) -> datetime:
        """The time at which the log begins. A row that was created earlier may have history that the log lacks.

        | log | time |
        |---|---|
        | whole (every partition begins at 0) | the earliest of the first records, less five minutes |
        | shortened by retention | the latest beginning of a partition, and five minutes |

        A shortened partition begins at the latest of its first few records, because single records may have wrong
        times. A partition without records begins at the last record that was projected.
        """
        now, last = shadow.now(view), positions.read(view, self.topic.name)
        beginnings = []
        for partition, log_range in log_ranges.items():
            if log_range.end > 0:
                times = self.topic.first_timestamps(partition, log_range)
                if times:
                    begins_at = recorded_at(min(times) if is_whole else max(times))
                else:
                    begins_at = last[partition].record_at if partition in last else None
                beginnings.append(begins_at or now)
        if is_whole:
            return _shifted(min(beginnings, default=now), -CLOCKS_DIFFER_BY)
        return _shifted(max(beginnings, default=now), CLOCKS_DIFFER_BY)

    def fold(self, view: Connection, into: ShadowProjector) -> None:
        self._require_no_gap(view)
        while True:
            ranges = self._ranges(into, self._positions(view))
            left = sum(log_range.end - log_range.beginning for log_range in ranges.values())
            into.total = into.records + left
            self._read(into, ranges)
            if left <= TAIL_RECORDS:
                return

    def coverage(self, view: Connection, initial: Coverage) -> Coverage:
        """With holes in the log, it covers rows that were created after the last of them, and proves no absence."""
        holes = {**initial.holes, **self._missing.ends}
        if not holes:
            return initial
        since = max(initial.since or datetime.min.replace(tzinfo=UTC), self._since_holes(view, holes))
        # A time after now does not show how old a row is.
        until = shadow.now(view)
        return initial._replace(since=since, until=until, proves_absence=False, is_log=False, holes=holes)

    def _since_holes(self, view: Connection, holes: Mapping[int, int]) -> datetime:
        """The time from which no record is missing. It is read from the topic only if the holes have changed."""
        if self._complete is None or self._complete[0] != holes:
            log_ranges = self.topic.log_ranges(holes)
            after = {partition: log_ranges[partition]._replace(beginning=end) for partition, end in holes.items()}
            self._complete = holes, self._since(view, after, is_whole=False)
        return self._complete[1]

    def lock_positions(self, view: Connection, *, exclusive: bool) -> dict[int, int]:
        if exclusive:
            positions.lock(view, self.topic.name)
        return self._positions(view)

    def catch_up(self, into: ShadowProjector, until: Mapping[int, int]) -> bool:
        ranges = self._ranges(into, until)
        if sum(log_range.end - log_range.beginning for log_range in ranges.values()) > TAIL_RECORDS:
            return False
        self._read(into, ranges, silent_seconds=TAIL_SECONDS)
        return True

    def release_positions(self, view: Connection, until: Mapping[int, int], *, wrote: bool, whole: bool) -> None:
        if whole:
            repair.add_missing_positions(view, self.topic.name)
        if not wrote:
            return
        folded = shadow.positions(view, self.topic.name)
        if not whole:  # members project the records beyond `until`: not every delegation of theirs was written
            folded = {partition: min(offset, until[partition]) for partition, offset in folded.items()}
        positions.reset(view, self.topic.name, folded, self.topic.topic_id)

    def _positions(self, view: Connection) -> dict[int, int]:
        """The view's positions; for a partition without one, the end or the beginning of its log."""
        stored = positions.read(view, self.topic.name)
        if added := stored.keys() - set(self.topic.partitions):
            raise ProjectorError(
                f"partitions {sorted(added)} were added to topic {self.topic.name} during this run: "
                "run the command again"
            )
        log_ranges = self.topic.log_ranges(set(self.topic.partitions) - stored.keys())
        unclaimed = {
            partition: log_range.end if self._ahead else log_range.beginning
            for partition, log_range in log_ranges.items()
        }
        return {**unclaimed, **{partition: position.offset for partition, position in stored.items()}}

    def _ranges(self, into: ShadowProjector, until: Mapping[int, int]) -> dict[int, LogRange]:
        """The offsets that are left to fold, of partitions that have some."""
        folded = shadow.positions(into.conn, self.topic.name)
        return {
            partition: LogRange(offset, until[partition])
            for partition, offset in folded.items()
            if offset < until.get(partition, 0)
        }

    def _read(self, into: ShadowProjector, ranges: Mapping[int, LogRange], silent_seconds: float | None = None) -> None:
        before = shadow.last_timestamps(into.conn, self.topic.name)
        for merged in self.topic.read_merged(ranges, before=before, silent_seconds=silent_seconds):
            if self._missing.note(merged.parts):
                shadow.store_holes(into.conn, self._missing.ends)
            into.add(merged)


def _shifted(at: datetime, by: timedelta) -> datetime:
    """The shifted time, or the time itself where the result is no valid date."""
    try:
        return at + by
    except OverflowError:
        return at
