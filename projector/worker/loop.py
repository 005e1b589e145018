"""`projector run`: one member of the group. It polls, claims, projects, waits out outages and stops on a signal."""

import logging
import time

from projector.domain.positions import Fence, Polled
from projector.errors import (
    BatchUnfinished,
    BrokerUnavailable,
    DatabaseUnavailable,
    Fenced,
    ProjectorError,
    RecordTooSlow,
)
from projector.kafka.consumer import GroupConsumer
from projector.postgres.connection import Connection
from projector.process.backoff import Backoff
from projector.process.memory import tune_memory
from projector.process.shutdown import Shutdown
from projector.projection.gathering import Batch
from projector.projection.transaction import Outcomes, PendingBatch
from projector.settings import Settings
from projector.worker.batches import Batches
from projector.worker.database import Database
from projector.worker.health import Health
from projector.worker.metrics import State
from projector.worker.outages import Outages
from projector.worker.partitions import Partitions
from projector.worker.push import Push
from projector.worker.stalls import StallDetector, require_progress
from projector.worker.summary import Summary
from projector.worker.watch import Watch

log = logging.getLogger(__name__)

_TICK_SECONDS = 1.0
_READ_AHEAD_RECORDS = 500
"""A smaller batch is written so fast that polling meanwhile only makes the next batch smaller."""


class Worker:
    """One member of the consumer group, in the calling thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.consumer = GroupConsumer(settings)
        self.partitions = Partitions(self.consumer, settings.heartbeat_interval_ms / 1000)
        self.shutdown = Shutdown(settings.stop_within_seconds, self.partitions.warn_not_released)
        self.health = Health(settings.health_file)
        self._outages = Outages(self.health)
        self._summary = Summary(self.health.meters)
        self._stalls = StallDetector(settings.stalled_after_seconds)
        self._batches = Batches(self.consumer, settings)
        self._watch = Watch(self.health, self.consumer, self.partitions, self._batches, settings)
        self._database = Database(settings, Push(settings).prepare)
        self._kafka = Backoff()
        self._count = self.health.meters.add
        self._pending: PendingBatch | None = None
        self._tick_at = 0.0
        # A third of the time after which the group removes a member that does not poll.
        self._poll_within_seconds = settings.max_poll_interval_ms / 3000

    @property
    def outcomes(self) -> Outcomes:
        """How every record that this worker projected ended."""
        return self._summary.outcomes

    def run(self) -> None:
        """Work until a signal stops it. Raises LogGap and Misconfigured, which waiting does not repair."""
        tune_memory()
        log.info("starting", extra={"topic": self.consumer.topic, "member": self.consumer.member})
        state = "stopped"
        with self.shutdown.listening():
            try:
                while not self.shutdown.requested:
                    self.step()
            except Exception as error:
                state = f"stopped: {error}"
                raise
            finally:
                self._end(state)

    def _end(self, state: str) -> None:
        """Stop, and report `state`. A server that is frozen does not keep the process from ending."""
        self.shutdown.begin_grace()
        try:
            self.stop()
            self.health.report(healthy=False, state=state, kind=State.STOPPED)
        finally:
            self.shutdown.completed()

    def step(self) -> None:
        """One round: poll, project what came, claim what is assigned. An outage ends the round, never the process.

        Postgres writes a large batch while the next one is polled and translated.
        """
        try:
            if self.consumer.is_open or self._join():
                self._poll()
        except BrokerUnavailable as error:
            self._count("consumer_rebuilds_total")
            self._watch.measures.forget_partitions()
            self._leave()
            self._kafka.failed()
            self._outages.begin("Kafka", error)
        except RecordTooSlow as error:
            self._count("retries_total", "slow_record")
            self._drop_polled()
            self.partitions.delay([error.partition], self._batches.slow_records.add(error, self._batches.limits))
        except DatabaseUnavailable as error:
            self._count("retries_total", "postgres")
            self._watch.measures.forget_partitions()
            self._drop_polled()
            self._database.lost()
            self._outages.begin("Postgres", error)
        except BatchUnfinished:
            self._count("retries_total", "slow_batch")
            self._drop_polled()
        except Fenced as error:
            self._count("fenced_total")
            self.partitions.fenced(error, self._database.connect())

    def stop(self) -> None:
        """Finish the pending batch, release the partitions, leave the group, close the connection."""
        try:
            self._finish_pending()
        except ProjectorError as error:
            log.warning("the last batch was not written completely", extra={"reason": str(error)})
        finally:
            self.partitions.release(self._database)
            self.consumer.close()
            self._database.close()
            self._summary.log("stopped")

    # --- the group

    def _join(self) -> bool:
        """Join the group, or wait. A member without Postgres would keep its partitions from others, and stall them."""
        self._finish_pending()
        conn = self._connect()
        wait_seconds = max(self._kafka.seconds_left, 0.0 if conn else self._database.seconds_left)
        if wait_seconds:
            self._outages.report()
            self.shutdown.sleep(min(wait_seconds, _TICK_SECONDS))
        if wait_seconds or conn is None:
            return False
        self.partitions.require_owned(conn)  # the session may be lost since its last use
        self.consumer.open()
        return not self.shutdown.requested

    def _leave(self) -> None:
        self.consumer.close()
        self._batches.closed()
        self._stalls.reset()

    def _connect(self) -> Connection | None:
        conn = self._database.connect()
        if conn is not None:
            self._outages.end("Postgres")
        return conn

    # --- one round in the group

    def _poll(self) -> None:
        polled = self._batches.poll(wait=self._pending is None)
        if time.monotonic() >= self._tick_at:
            polled += self.consumer.advanced_without_records()
        self._outages.end("Kafka")
        if (conn := self._connect()) is not None:
            self._project(conn, polled)
            if self._pending is None or not polled:
                self._finish_pending()
                self._claim_and_tick(conn)
        elif self._database.is_away_too_long:
            log.warning("leaving the group until Postgres is back", extra={"member": self.consumer.member})
            self._leave()

    def _project(self, conn: Connection, polled: list[Polled]) -> None:
        until = time.monotonic() + self._poll_within_seconds
        self._summary.missing.note(polled)
        for batch in self._batches.add(polled):
            if self.shutdown.requested:
                return
            if time.monotonic() > until:
                # The database is slow. The rest is read again, after a poll that keeps us in the group.
                self.consumer.pause_all()
                return
            self._send(conn, batch, until)

    def _send(self, conn: Connection, batch: Batch, until: float) -> None:
        self._finish_pending()
        self._claim_and_tick(conn)
        fence, push = Fence(self.partitions.token, batch.moves), self.settings.pushes
        self._pending = PendingBatch(conn, batch.entries, fence, limits=batch.limits, until=until, push=push)
        if len(batch.entries) < _READ_AHEAD_RECORDS:
            self._finish_pending()

    def _finish_pending(self) -> None:
        """Wait for the batch that Postgres is writing, if there is one."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        try:
            pending.wait()
        finally:  # a half of the batch may be written before the other half fails
            self._summary.add(pending)
            if pending.seconds > self._poll_within_seconds:
                pending.limits.too_slow(len(pending.entries), f"a batch took {pending.seconds:.0f} seconds")
        self.partitions.wrote(pending.moves)
        self._database.wrote()
        self._watch.measures.wrote(pending)

    def _drop_polled(self) -> None:
        """Drop what was polled and is not written. The next claim reads from the position what is."""
        self.consumer.pause_all()
        self._stalls.reset()
        self._batches.drop()
        self._pending = None

    def _claim_and_tick(self, conn: Connection) -> None:
        """The work besides records, while the connection is free."""
        if not self.shutdown.requested:
            self.partitions.claim(conn)
            self._tick(conn)

    def _tick(self, conn: Connection) -> None:
        """What is due once per second."""
        now = time.monotonic()
        if now < self._tick_at:
            return
        self._tick_at = now + _TICK_SECONDS
        self.partitions.require_owned(conn)
        self.consumer.commit(self.partitions.written)
        require_progress(self._stalls, self.consumer, now)
        self._watch.look(now)
        if self.consumer.note_success():
            self._kafka.succeeded()
        self._summary.measure()
        self._watch.report()
        if self._summary.age_seconds >= self.settings.summary_seconds:
            self._summary.log("summary")
