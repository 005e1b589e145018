"""Folding into the shadow: what it is done with, and what a source of it has to be able to do."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from events.envelope import Record
from projector import store
from projector.batch import Polled, batches
from projector.difference import Coverage
from projector.fold import read
from projector.positions import Gate, Move
from projector.projection import Projecting
from projector.session import Connection


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
        self._conn = conn
        self._projecting: Projecting | None = None
        self.token = token
        self.sizes = sizes
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
            projecting.outcomes()

    def project(self, records: Sequence[Record], moves: Sequence[Move]) -> None:
        """Fold a batch, with the shadow's positions; `finish` tells when it is written."""
        wanted = records if self.sample is None else self._sampled(records)
        reading = read(wanted)
        self._projecting = Projecting(self.conn, wanted, reading, Gate(self.token, moves))
        if self.touched is not None:
            self.touched.update(self._spoken_of(wanted))
        self.records += len(records)
        self._progress(self.records, self.total)

    def polled(self, polled: Sequence[Polled]) -> None:
        """Fold what a poll gave."""
        for batch in batches(polled, max_records=self.sizes.records, max_bytes=self.sizes.bytes):
            self.project(batch.records, batch.moves)

    def _spoken_of(self, records: Sequence[Record]) -> set[str]:
        said = [each.translation for each in read(records).said]
        left_out = [each.recalled for each in said if each.recalled and not each.delegation_id]
        recalled = store.read_remembered(self.conn, left_out).values() if left_out else ()
        ids = {each.delegation_id for each in said if each.delegation_id}.union(recalled)
        return {each for each in ids if self.sample is None or self.sample(each)}

    def _sampled(self, records: Sequence[Record]) -> list[Record]:
        """Those that speak of a delegation of the sample, or may.

        Where a body was left out nobody can tell; and any request can have a key that one of the sample asks for too.
        """
        assert self.sample is not None  # noqa: S101 - asked before
        return [
            record
            for record, said in read(records).said
            if not said.delegation_id
            or self.sample(said.delegation_id)
            or (said.request is not None and said.request.idempotency_key is not None)
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

    def hand_over(self, view: Connection, held: Mapping[int, int], *, wrote: bool, whole: bool) -> None:
        """If anything was written, let the members go on from where it is true, and fence what they read before.

        `whole`: nothing that the source knows was left out, so that a gap in the log is mended, if the source can.
        """
        ...


def encoded(coverage: Coverage) -> str:
    """A coverage as JSON, to be found again by whoever goes on with the shadow."""
    return json.dumps({name: v.isoformat() if isinstance(v, datetime) else v for name, v in coverage._asdict().items()})


def decoded(text: str) -> Coverage:
    """The coverage that was noted."""
    held = json.loads(text)
    times = {name: held[name] and datetime.fromisoformat(held[name]) for name in ("since", "until")}
    return Coverage(**{**held, **times})
