"""Folding into the shadow: what it is done with, and what a source of it has to be able to do."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from projector.contract.envelope import Record
from projector.domain.fold import translate_batch
from projector.domain.positions import Fence, Move, Polled, log_gap
from projector.kafka.reader import TopicReader
from projector.postgres import delegations, positions
from projector.postgres.connection import Connection
from projector.projection.batch import batches, chunks
from projector.projection.transaction import PendingBatch
from projector.rebuild import repair
from projector.rebuild.drift import CLOCKS_DIFFER_BY, Coverage
from projector.settings import BatchLimits


class ShadowProjector:
    """Projects into the shadow, and counts. `touched`, once it is a set, gathers the delegations spoken of."""

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
        self._projecting: PendingBatch | None = None
        self.token = token
        self.limits = limits
        self.sample = sample
        self.records = 0
        self.total = 0
        self.touched: set[str] | None = None
        self._progress = progress

    @property
    def conn(self) -> Connection:
        """The session, once the batch that is being written is written."""
        self.finish()
        return self._conn

    def finish(self) -> None:
        """Wait until all that was folded is written."""
        projecting, self._projecting = self._projecting, None
        if projecting is not None:
            projecting.wait()

    def project(self, records: Sequence[Record], moves: Sequence[Move]) -> None:
        """Fold a batch, with the shadow's positions; `finish` tells when it is written."""
        wanted = records if self.sample is None else self._sampled(records)
        reading = translate_batch(wanted)
        self._projecting = PendingBatch(self.conn, wanted, reading, Fence(self.token, moves))
        if self.touched is not None:
            self.touched.update(self._spoken_of(wanted))
        self.records += len(records)
        self._progress(self.records, self.total)

    def polled(self, polled: Sequence[Polled]) -> None:
        """Fold what a poll gave."""
        for batch in batches(polled, self.limits):
            self.project(batch.records, batch.moves)

    def _spoken_of(self, records: Sequence[Record]) -> set[str]:
        said = [each.translation for each in translate_batch(records).records]
        left_out = [each.unavailable_row_id for each in said if each.unavailable_row_id and not each.delegation_id]
        unavailable_row_id = delegations.read_large_rows(self.conn, left_out).values() if left_out else ()
        ids = {each.delegation_id for each in said if each.delegation_id}.union(unavailable_row_id)
        return {each for each in ids if self.sample is None or self.sample(each)}

    def _sampled(self, records: Sequence[Record]) -> list[Record]:
        """Those that speak of a delegation of the sample, or may.

        Where a body was left out nobody can tell; and any request can have a key that one of the sample asks for too.
        """
        assert self.sample is not None  # noqa: S101 - asked before
        return [
            record
            for record, said in translate_batch(records).records
            if not said.delegation_id
            or self.sample(said.delegation_id)
            or (said.request is not None and said.request.idempotency_key is not None)
        ]


class RebuildSource(Protocol):
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

    def fold(self, view: Connection, into: ShadowProjector) -> None:
        """Fold everything up to where the view is, a tail aside."""
        ...

    def coverage(self, view: Connection, begun: Coverage) -> Coverage:
        """What the folded source can speak of."""
        ...

    def lock_positions(self, view: Connection, *, exclusive: bool) -> dict[int, int]:
        """The view's positions: those of this snapshot, or exclusively, with every member held up before its gate."""
        ...

    def catch_up(self, into: ShadowProjector, held: Mapping[int, int]) -> bool:
        """Fold the tail, exactly to these positions; whether it was short enough for members to wait for it."""
        ...

    def release_positions(self, view: Connection, held: Mapping[int, int], *, wrote: bool, whole: bool) -> None:
        """If anything was written, let the members go on from where it is true, and fence what they read before.

        `whole`: nothing that the source knows was left out, so that a gap in the log is mended, if the source can.
        """
        ...


class WithoutOffsets:
    """A source that stands at no position of the view's: there is no tail to fold, and members are only held up."""

    topic: TopicReader | None

    def lock_positions(self, view: Connection, *, exclusive: bool) -> dict[int, int]:
        if not exclusive or self.topic is None:
            return {}
        return positions.lock(view, self.topic.name)

    def catch_up(self, into: ShadowProjector, held: Mapping[int, int]) -> bool:
        return True


def rewind(view: Connection, topic: TopicReader, at: datetime | None, *, over_gaps: bool) -> None:
    """Let the members project again what came after `at`: what they made of it, they made of rows that were wrong.

    `over_gaps`: where the log does not hold a position any more, they begin at its beginning; of a topic that was made
    anew with fewer partitions, the positions of the others are forgotten.
    """
    known = positions.read(view, topic.name)
    spans = topic.log_ranges(known.keys() & set(topic.partitions))
    if over_gaps and topic.topic_id is not None:
        repair.forget_positions(view, topic.name, topic.partitions, topic.topic_id)
    after = {} if at is None else topic.offsets_at(dict.fromkeys(spans, _ms(at - CLOCKS_DIFFER_BY)))
    offsets = {}
    for partition, span in spans.items():
        offset = known[partition].offset
        if log_gap(known[partition], topic.topic_id, span):
            if over_gaps:
                offsets[partition] = span.beginning
        elif at is not None:
            offsets[partition] = min(offset, after.get(partition, offset))
    positions.reset(view, topic.name, offsets, topic.topic_id)


def _ms(at: datetime) -> int:
    return max(0, int(at.timestamp() * 1000))


def fold_lines(into: ShadowProjector, topic: str, lines: Iterable[Record], done: int) -> None:
    """Fold records that have no log, with the number of them as the shadow's position."""
    for piece in chunks(lines, into.limits):
        into.project(piece, [Move(topic, 0, done, done + len(piece))])
        done += len(piece)


def dump_coverage(coverage: Coverage) -> str:
    """A coverage as JSON, to be found again by whoever goes on with the shadow."""
    return json.dumps({name: v.isoformat() if isinstance(v, datetime) else v for name, v in coverage._asdict().items()})


def load_coverage(text: str) -> Coverage:
    """The coverage that was noted."""
    held = json.loads(text)
    times = {name: held[name] and datetime.fromisoformat(held[name]) for name in ("since", "until")}
    return Coverage(**{**held, **times})
