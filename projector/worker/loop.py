"""`projector run`: one member of the consumer group. Poll, claim, project; wait out what is away; stop when told."""

import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple
from uuid import UUID, uuid4

from projector.domain.fold import translate_batch
from projector.domain.outcomes import Outcome
from projector.domain.positions import Fence, LogRange, Polled
from projector.errors import BrokerUnavailable, DatabaseUnavailable, Fenced, ProjectorError, Unavailable
from projector.kafka.consumer import GroupConsumer
from projector.postgres import migrations, positions
from projector.postgres.connection import Connection, Timeouts, connect, transaction
from projector.postgres.positions import Claim
from projector.postgres.write_batch import prepare
from projector.process import tune_gc
from projector.projection.batch import batches
from projector.projection.transaction import Outcomes, PendingBatch
from projector.worker.health import Health, StallDetector

log = logging.getLogger(__name__)

_KAFKA = "Kafka"
_POSTGRES = "Postgres"
_RETRY_SECONDS = 1.0
_TICK_SECONDS = 1.0
_FENCED_IN_A_ROW = 5
_CLAIMS_A_ROUND = 100
_UNHEARD_SECONDS = 15.0
_WORTH_READING_AHEAD = 500
"""Records: fewer are written so soon that to poll meanwhile makes the next batch smaller, and others wait longer."""


class WorkerSettings(NamedTuple):
    """What a member needs to know beside its source."""

    database_url: str
    batch_records: int = 5_000
    batch_bytes: int = 8 * 1024 * 1024
    synchronous_commit: bool = False
    timeouts: Timeouts = Timeouts()
    heartbeat_seconds: float = 3.0
    poll_within_seconds: float = 20.0
    stalled_after_seconds: float = 60.0
    summary_seconds: float = 60.0
    stop_within_seconds: float = 20.0


class Worker:
    """One process of the group. `outcomes` counts every record that it projected."""

    def __init__(self, source: GroupConsumer, settings: WorkerSettings, health: Health | None = None) -> None:
        self.source = source
        self.settings = settings
        self.health = health or Health(None)
        self.token: UUID = uuid4()
        self.outcomes: Outcomes = Counter()
        self.stopping = False
        self._conn: Connection | None = None
        self._projecting: PendingBatch | None = None
        self._written: dict[int, int] = {}
        self._away: dict[str, float] = {}
        self._connect_at = 0.0
        self._claim_at = 0.0
        self._fenced = 0
        self._tick_at = 0.0
        self._standstill = StallDetector(settings.stalled_after_seconds)
        self._summed_up: tuple[float, Outcomes] = (time.monotonic(), Counter())
        self._deadline = threading.Timer(settings.stop_within_seconds, self._give_up)
        self._deadline.daemon = True

    def run(self) -> None:
        """Until told to stop; raises LogGap and Misconfigured, which waiting does not mend."""
        tune_gc()
        log.info("starting", extra={"topic": self.source.topic, "member": self.source.member})
        try:
            with self._signals():
                while not self.stopping:
                    self.step()
        finally:
            self.stop()
            self._deadline.cancel()

    def step(self) -> None:
        """One round: poll, project what came, claim what is fresh. An outage ends the round, never the process.

        A large batch is left to Postgres to be written, while the next one is polled and read.
        """
        try:
            if not self.source.is_open:
                self._await_written()
                self.source.open()
            polled = self.source.poll(wait=self._projecting is None)
            if time.monotonic() >= self._tick_at:
                polled += self.source.advanced_without_records()
            self._back(_KAFKA)
            if self._connect():
                self._project(self._open_conn, polled)
                if self._projecting is None or not polled:
                    self._await_written()
                    self._look_around(self._open_conn)
        except BrokerUnavailable as error:
            self.source.close()
            self._standstill.forget()
            self._lost(_KAFKA, error)
            self._sleep(_RETRY_SECONDS)
        except DatabaseUnavailable as error:
            self._disconnect()
            self._lost(_POSTGRES, error)
        except Fenced as error:
            self._step_back(error)

    def stop(self) -> None:
        """Leave the group and close the session; the batch that is being written is done."""
        try:
            self._await_written()
            if self._conn is not None:
                with transaction(self._conn):
                    positions.release(self._conn, self.token)
        except ProjectorError as error:
            log.warning("the positions still bear our name", extra={"reason": str(error)})
        self.source.close()
        self._disconnect()
        self._sum_up("stopped")

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(number: int, _: FrameType | None) -> None:
            if self.stopping:
                os._exit(128 + number)  # told twice: at once, which loses nothing either
            log.info("stopping", extra={"signal": signal.Signals(number).name})
            self.stopping = True
            self._deadline.start()

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _give_up(self) -> None:
        """A server that froze answers nobody, and nothing wakes whoever waits for it."""
        log.warning("stopped without an answer", extra={"after_seconds": self.settings.stop_within_seconds})
        os._exit(128 + signal.SIGTERM)

    # --- the work

    def _look_around(self, conn: Connection) -> None:
        """What is to be done beside the records, while the session is free."""
        if not self.stopping:
            self._claim_fresh(conn)
            self._tick(conn)

    def _claim_fresh(self, conn: Connection) -> None:
        if not self.source.unclaimed or time.monotonic() < self._claim_at:
            return
        fresh = self.source.unclaimed[:_CLAIMS_A_ROUND]
        spans = self.source.log_ranges(fresh)
        with transaction(conn):
            offsets = {partition: positions.claim(conn, self._claim(partition, spans)) for partition in fresh}
        for partition, offset in offsets.items():
            if offset is not None:
                self.source.start(partition, offset, spans[partition])
                self._written[partition] = offset
                said = {"partition": partition, "offset": offset, "end": spans[partition].end}
                log.info("partition claimed", extra=said)

    def _claim(self, partition: int, spans: Mapping[int, LogRange]) -> Claim:
        source = self.source
        beginning = spans[partition].beginning
        return Claim(source.topic, partition, self.token, source.topic_id, beginning, source.generation, source.member)

    def _project(self, conn: Connection, polled: list[Polled]) -> None:
        settings, polled_at = self.settings, time.monotonic()
        for batch in batches(polled, max_records=settings.batch_records, max_bytes=settings.batch_bytes):
            if self.stopping:
                return
            if time.monotonic() - polled_at > settings.poll_within_seconds:
                # The database is slow. The rest is read again, after a poll that keeps us in the group.
                self.source.pause_all()
                return
            reading = translate_batch(batch.records)
            self._await_written()
            self._look_around(conn)
            self._projecting = PendingBatch(conn, batch.records, reading, Fence(self.token, batch.moves))
            if len(batch.records) < _WORTH_READING_AHEAD:
                self._await_written()

    def _await_written(self) -> None:
        """Be done with the batch that Postgres is writing, if there is one."""
        projecting, self._projecting = self._projecting, None
        if projecting is not None:
            self.outcomes += projecting.wait()
            self._written.update({move.partition: move.next_offset for move in projecting.moves})
            self._fenced = 0

    def _tick(self, conn: Connection) -> None:
        """What is due once a second."""
        now = time.monotonic()
        if now < self._tick_at:
            return
        self._tick_at = now + _TICK_SECONDS
        self._require_owned(conn)
        seated = self.source.active
        self.source.commit({place: offset for place, offset in self._written.items() if place in seated})
        self._look_for_stalls(now)
        if self.source.seconds_without_commit > _UNHEARD_SECONDS:
            self.health.report(healthy=False, state="Kafka does not answer the group's commits")
        else:
            self.health.report(healthy=True, state="projecting" if seated else "waiting for partitions")
        if now - self._summed_up[0] >= self.settings.summary_seconds:
            self._sum_up("summary")

    def _require_owned(self, conn: Connection) -> None:
        """Raises Fenced where a position was moved or taken: a partition without records has no batch to notice it."""
        written = {partition: self._written[partition] for partition in self.source.active}
        with transaction(conn):
            owned = positions.owned(conn, self.source.topic, self.token)
        if moved := [partition for partition, offset in written.items() if owned.get(partition) != offset]:
            raise Fenced(f"the positions of partitions {sorted(moved)} were moved, or taken by another member")

    def _look_for_stalls(self, now: float) -> None:
        """A partition with lag whose position stands still needs another consumer (T1, T2)."""
        standing = self._standstill.seen(self.source.active, now)
        for partition, span in self.source.log_ranges(standing).items() if standing else ():
            if span.end > (offset := self.source.active[partition]):
                raise BrokerUnavailable(f"partition {partition} stands still at offset {offset} with records behind it")

    # --- what is away, and what comes back

    @property
    def _open_conn(self) -> Connection:
        assert self._conn is not None  # noqa: S101 - _connect said so
        return self._conn

    def _connect(self) -> bool:
        if self._conn is not None:
            return True
        if time.monotonic() < self._connect_at:
            return False
        self._connect_at = time.monotonic() + _RETRY_SECONDS
        settings = self.settings
        conn = connect(
            settings.database_url, timeouts=settings.timeouts, synchronous_commit=settings.synchronous_commit
        )
        try:
            migrations.require_current(conn)
            prepare(conn)
        except BaseException:
            conn.close()
            raise
        self._conn = conn
        self._back(_POSTGRES)
        return True

    def _disconnect(self) -> None:
        """Drop what was in flight, to be claimed again: the position's row tells whether its commit happened."""
        self.source.pause_all()
        self._standstill.forget()
        self._projecting = None
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()

    def _step_back(self, error: Fenced) -> None:
        """Another member owns what we read: poll for a heartbeat, to hear of the new assignment, before we claim."""
        self._fenced += 1
        log.warning("fenced", extra={"reason": str(error), "in_a_row": self._fenced})
        self.source.pause_all()
        self._claim_at = time.monotonic() + self.settings.heartbeat_seconds
        if self._fenced >= _FENCED_IN_A_ROW:
            self._fenced = 0
            self.source.close()

    def _lost(self, what: str, error: Unavailable) -> None:
        if what not in self._away:
            self._away[what] = time.monotonic()
            log.warning("waiting for %s", what, extra={"reason": str(error)})
        self.health.report(healthy=False, state=f"waiting for {what}: {error}")

    def _back(self, what: str) -> None:
        if (since := self._away.pop(what, None)) is not None:
            log.info("%s is back", what, extra={"after_seconds": round(time.monotonic() - since, 1)})

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.stopping and time.monotonic() < until:
            time.sleep(0.05)

    def _sum_up(self, message: str) -> None:
        since, before = self._summed_up
        now = time.monotonic()
        counts = {str(outcome): self.outcomes[outcome] - before[outcome] for outcome in Outcome}
        self._summed_up = (now, Counter(self.outcomes))
        log.info(
            message,
            extra={
                "seconds": round(now - since, 1),
                "records": sum(counts.values()),
                **{outcome: count for outcome, count in counts.items() if count},
            },
        )
