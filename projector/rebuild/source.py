"""What a rebuild needs of its source (`RebuildSource`), and how it folds records into the shadow."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from projector.contract.envelope import Record
from projector.contract.facts import Status, Verdict
from projector.domain.clocks import CLOCKS_DIFFER_BY
from projector.domain.fold import DeadLetter, Entry, TranslatedRecord, by_kind, translate_each
from projector.domain.merge import Merged
from projector.domain.positions import Fence, Move, log_gap
from projector.kafka.reader import TopicReader
from projector.postgres import delegations, positions
from projector.postgres.connection import Connection
from projector.projection.batch import chunks
from projector.projection.gathering import Batch, Gathering
from projector.projection.limits import AdaptiveLimits
from projector.projection.transaction import PendingBatch
from projector.rebuild import order, repair
from projector.rebuild.drift import Coverage
from projector.settings import BatchLimits


class ShadowProjector:
    """Projects batches into the shadow.

    One batch is being written while the next one is read and translated. With `sample`, only records that may change a
    delegation of the sample are projected. Once `touched` is a set, it collects the ids of the delegations that records
    are about.
    """

    def __init__(
        self,
        conn: Connection,
        token: UUID,
        limits: BatchLimits,
        *,
        sample: Callable[[str], bool] | None = None,
        progress: Callable[[int, int], object] = lambda done, total: None,
    ) -> None:
        self._conn = conn
        self._gathering = Gathering()
        self._pending: PendingBatch | None = None
        self.token = token
        self.limits = AdaptiveLimits(limits)
        self.sample = sample
        self.records = 0
        self.total = 0
        self.touched: set[str] | None = None
        self.unreadable = 0
        """Records that could not be read, of those that the shadow does not keep as dead letters."""
        self.verdicts: dict[str, set[Status]] | None = None
        """Once it is a dict, it collects the statuses of the verdicts about each delegation."""
        self.reads_order = False
        """Whether `order.add_facts` gets every further record."""
        self._progress = progress

    @property
    def conn(self) -> Connection:
        """The connection to the shadow, after all batches are written: until then it must not be used."""
        self.finish()
        return self._conn

    def finish(self) -> None:
        """Write all records that were added, and wait for that. After an error, they are to be read again."""
        for batch in self._gathering.take():
            self.project(batch)
        pending, self._pending = self._pending, None
        if pending is not None:
            try:
                pending.wait()
            except BaseException:
                self._gathering = Gathering()
                raise

    def add(self, merged: Merged) -> None:
        """Project records, in merged order. They are written after the next `finish` at the latest."""
        for batch in self._gathering.add(merged, self.limits):
            self.project(batch)

    def project(self, batch: Batch) -> None:
        """Project a batch and move the shadow's positions, after the pending batch is written."""
        entries = batch.entries
        if self.reads_order:
            order.add_facts(self.conn, by_kind(entries))
        if self.sample is not None:
            self.unreadable += sum(isinstance(each, DeadLetter) for each in entries)
            entries = [each for each in entries if _may_change(self.sample, each)]
        self.note_verdicts(entries)
        fence = Fence(self.token, batch.moves)
        self._pending = PendingBatch(self.conn, entries, fence, limits=batch.limits)
        if self.touched is not None:
            self.touched.update(self._ids(each for each in entries if isinstance(each, TranslatedRecord)))
        self.records += len(batch.entries)
        self._progress(self.records, self.total)

    def note_verdicts(self, entries: Iterable[Entry]) -> None:
        """Collect the verdicts among these records, if they are wanted."""
        if (verdicts := self.verdicts) is None:
            return
        for each in entries:
            if isinstance(each, TranslatedRecord) and isinstance(verdict := each.translation.report, Verdict):
                verdicts.setdefault(verdict.delegation_id, set()).add(verdict.status)

    def _ids(self, records: Iterable[TranslatedRecord]) -> set[str]:
        """The delegations that these records are about. Large rows are read after the pending batch is written."""
        events = [each.translation for each in records]
        ids = {each.delegation_id for each in events if each.delegation_id}
        row_ids = [each.unavailable_row_id for each in events if each.unavailable_row_id and not each.delegation_id]
        if row_ids:
            ids.update(delegations.read_large_rows(self.conn, row_ids).values())
        return {each for each in ids if self.sample is None or self.sample(each)}


def _may_change(sample: Callable[[str], bool], entry: Entry) -> bool:
    """Whether a record may change a delegation of the sample."""
    if not isinstance(entry, TranslatedRecord):
        return False
    event = entry.translation
    if not event.delegation_id or event.large_row_id:  # an update without its body may be about any large row
        return True
    if sample(event.delegation_id):
        return True
    # A request may take the idempotency key that a delegation of the sample asks for too.
    return event.request is not None and event.request.idempotency_key is not None


class RebuildSource(Protocol):
    """Where the records come from that a rebuild folds into the shadow.

    `begin`, `lock_positions`, `catch_up` and `release_positions` run in a transaction on the view.
    """

    name: str
    has_total_order: bool
    """Whether the source has the order between any two of its records."""

    def read_again(self, view: Connection) -> Iterator[Record]:
        """All records that were folded, once more; in any order between partitions."""
        ...

    def is_empty(self) -> bool:
        """Whether the source has no record at all."""
        ...

    def can_resume(self, view: Connection) -> bool:
        """Whether an interrupted rebuild from this source can be resumed."""
        ...

    def begin(self, view: Connection, token: UUID, *, drop_uncovered: bool) -> tuple[Coverage, int]:
        """Prepare the empty shadow: its positions, and the rows of the view that the source does not cover.

        Returns the coverage, and the number of rows carried over; with `drop_uncovered` none are.
        """
        ...

    def fold(self, view: Connection, into: ShadowProjector) -> None:
        """Fold the records up to the view's positions; a short tail may remain."""
        ...

    def coverage(self, view: Connection, initial: Coverage) -> Coverage:
        """The coverage of what is folded now; `initial` is what `begin` returned."""
        ...

    def lock_positions(self, view: Connection, *, exclusive: bool) -> dict[int, int]:
        """The view's positions, partition → next offset; with `exclusive` locked, so members wait at their fence."""
        ...

    def catch_up(self, into: ShadowProjector, until: Mapping[int, int]) -> bool:
        """Fold the tail up to exactly the positions `until`; False where it is too long for members to wait."""
        ...

    def release_positions(self, view: Connection, until: Mapping[int, int], *, wrote: bool, whole: bool) -> None:
        """Set the positions from which members continue, and fence the batches that they read before.

        `wrote`: rows of the view were written. `whole`: the whole source was compared, so it may repair a gap in the
        log.
        """
        ...


class WithoutOffsets:
    """A source whose records have no offsets of the topic: it has no tail, and only makes members wait."""

    topic: TopicReader | None

    def lock_positions(self, view: Connection, *, exclusive: bool) -> dict[int, int]:
        if not exclusive or self.topic is None:
            return {}
        return positions.lock(view, self.topic.name)

    def catch_up(self, into: ShadowProjector, until: Mapping[int, int]) -> bool:
        return True


def rewind(view: Connection, topic: TopicReader, at: datetime | None, *, over_gaps: bool) -> None:
    """Move the positions back to five minutes before `at`: members then project the later records again.

    They had projected them into rows that were wrong. None moves no position back.

    `over_gaps`: a position that is not in the log any more moves to the log's beginning. The positions of partitions
    that a recreated topic does not have are deleted.
    """
    known = positions.read(view, topic.name)
    log_ranges = topic.log_ranges(known.keys() & set(topic.partitions))
    if over_gaps and topic.topic_id is not None:
        repair.delete_positions(view, topic.name, topic.partitions, topic.topic_id)
    after = {} if at is None else topic.offsets_at(dict.fromkeys(log_ranges, _ms_before(at, CLOCKS_DIFFER_BY)))
    offsets = {}
    for partition, log_range in log_ranges.items():
        offset = known[partition].offset
        if log_gap(known[partition], topic.topic_id, log_range):
            if over_gaps:
                offsets[partition] = log_range.beginning
        elif at is not None:
            offsets[partition] = min(offset, after.get(partition, offset))
    positions.reset(view, topic.name, offsets, topic.topic_id)


def _ms_before(at: datetime, span: timedelta) -> int:
    """Milliseconds since 1970, not negative. The time itself may be the first of all datetimes."""
    return max(0, int((at.timestamp() - span.total_seconds()) * 1000))


def fold_lines(into: ShadowProjector, topic: str, lines: Iterable[Record], done: int) -> None:
    """Fold records without offsets. The shadow's position is the number of records, and it is at `done` now."""
    for piece in chunks(lines, into.limits):
        into.project(Batch(translate_each(piece), [Move(topic, 0, done, done + len(piece))], into.limits))
        done += len(piece)


def dump_coverage(coverage: Coverage) -> str:
    """The coverage as JSON, for a rebuild that resumes this one."""
    return json.dumps({name: v.isoformat() if isinstance(v, datetime) else v for name, v in coverage._asdict().items()})


def load_coverage(text: str) -> Coverage:
    """The coverage that `dump_coverage` returned as JSON."""
    fields = json.loads(text)
    times = {name: fields[name] and datetime.fromisoformat(fields[name]) for name in ("since", "until")}
    holes = {int(partition): end for partition, end in fields.get("holes", {}).items()}
    return Coverage(**{**fields, **times, "holes": holes})
