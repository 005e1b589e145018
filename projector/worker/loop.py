"""`projector run`: one member of the group. It polls, claims, projects, waits out outages and stops on a signal."""

import logging
import time
from collections.abc import Mapping
from uuid import UUID, uuid4

from projector.domain.fold import translate_batch
from projector.domain.positions import Fence, LogRange, Polled
from projector.errors import BrokerUnavailable, DatabaseUnavailable, Fenced, ProjectorError
from projector.kafka.consumer import GroupConsumer
from projector.postgres import positions
from projector.postgres.connection import Connection, closed_on_error, open_view, transaction
from projector.postgres.positions import Claim
from projector.postgres.write_batch import prepare
from projector.process.garbage_collector import tune_gc
from projector.process.shutdown import Shutdown
from projector.projection.batch import batches
from projector.projection.transaction import Outcomes, PendingBatch
from projector.settings import Settings
from projector.worker.health import Health, Outages, StallDetector, Summary
from projector.worker.open_transactions import OpenTransactions

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
_TICK_SECONDS = 1.0
_FENCED_IN_A_ROW = 5
_CLAIMS_PER_ROUND = 100
_COMMIT_SILENCE_SECONDS = 15.0
_READ_AHEAD_RECORDS = 500
"""A smaller batch is written so fast that polling meanwhile only makes the next batch smaller."""


class Worker:
    """One member of the consumer group, in the calling thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.consumer = GroupConsumer(settings)
        self.token: UUID = uuid4()
        self.shutdown = Shutdown(settings.stop_within_seconds)
        self.health = Health(settings.health_file)
        self._outages = Outages(self.health)
        self._summary = Summary()
        self._stalls = StallDetector(settings.stalled_after_seconds)
        self._open_transactions = OpenTransactions(settings)
        self._conn: Connection | None = None
        self._pending: PendingBatch | None = None
        self._written: dict[int, int] = {}
        self._fenced_in_a_row = 0
        self._connect_at = 0.0
        self._claim_at = 0.0
        self._tick_at = 0.0
        # A third of the time after which the group removes a member that does not poll.
        self._poll_within_seconds = settings.max_poll_interval_ms / 3000

    @property
    def outcomes(self) -> Outcomes:
        """How every record that this worker projected ended."""
        return self._summary.outcomes

    def run(self) -> None:
        """Work until a signal stops it. Raises LogGap and Misconfigured, which waiting does not repair."""
        tune_gc()
        log.info("starting", extra={"topic": self.consumer.topic, "member": self.consumer.member})
        state = "stopped"
        try:
            with self.shutdown.listening():
                while not self.shutdown.requested:
                    self.step()
        except Exception as error:
            state = f"stopped: {error}"
            raise
        finally:
            self.stop()
            self.health.report(healthy=False, state=state)
            self.shutdown.completed()

    def step(self) -> None:
        """One round: poll, project what came, claim what is assigned. An outage ends the round, never the process.

        Postgres writes a large batch while the next one is polled and translated.
        """
        try:
            if not self.consumer.is_open:
                self._finish_pending()
                self.consumer.open()
            polled = self.consumer.poll(wait=self._pending is None)
            if time.monotonic() >= self._tick_at:
                polled += self.consumer.advanced_without_records()
            self._outages.end("Kafka")
            if (conn := self._connect()) is not None:
                self._project(conn, polled)
                if self._pending is None or not polled:
                    self._finish_pending()
                    self._claim_and_tick(conn)
        except BrokerUnavailable as error:
            self.consumer.close()
            self._stalls.reset()
            self._outages.begin("Kafka", error)
            self.shutdown.sleep(_RETRY_SECONDS)
        except DatabaseUnavailable as error:
            self._disconnect()
            self._outages.begin("Postgres", error)
        except Fenced as error:
            self._drop_polled(error)

    def stop(self) -> None:
        """Finish the pending batch, release the partitions, leave the group, close the connection."""
        try:
            self._finish_pending()
            if self._conn is not None:
                with transaction(self._conn):
                    positions.release(self._conn, self.token)
        except ProjectorError as error:
            log.warning("could not release ownership of the partitions", extra={"reason": str(error)})
        self.consumer.close()
        self._disconnect()
        self._summary.log("stopped")

    # --- batches

    def _project(self, conn: Connection, polled: list[Polled]) -> None:
        polled_at = time.monotonic()
        self._summary.missing.note(polled)
        for batch in batches(polled, self.settings):
            if self.shutdown.requested:
                return
            if time.monotonic() - polled_at > self._poll_within_seconds:
                # The database is slow. The rest is read again, after a poll that keeps us in the group.
                self.consumer.pause_all()
                return
            translated = translate_batch(batch.records)
            self._finish_pending()
            self._claim_and_tick(conn)
            self._pending = PendingBatch(conn, batch.records, translated, Fence(self.token, batch.moves))
            if len(batch.records) < _READ_AHEAD_RECORDS:
                self._finish_pending()

    def _finish_pending(self) -> None:
        """Wait for the batch that Postgres is writing, if there is one."""
        pending, self._pending = self._pending, None
        if pending is not None:
            try:
                self._summary.outcomes.update(pending.wait())
            finally:  # a half of the batch may be written before the other half fails
                self._summary.dead_letters.log(pending.dead_letters)
            self._written.update({move.partition: move.next_offset for move in pending.moves})
            self._fenced_in_a_row = 0

    # --- partitions

    def _claim_and_tick(self, conn: Connection) -> None:
        """The work besides records, while the connection is free."""
        if not self.shutdown.requested:
            self._claim_unclaimed(conn)
            self._tick(conn)

    def _claim_unclaimed(self, conn: Connection) -> None:
        if not self.consumer.unclaimed or time.monotonic() < self._claim_at:
            return
        unclaimed = self.consumer.unclaimed[:_CLAIMS_PER_ROUND]
        held = self.consumer.log_ranges(unclaimed)
        with transaction(conn):
            offsets = {partition: positions.claim(conn, self._claim(partition, held)) for partition in unclaimed}
        for partition, offset in offsets.items():
            if offset is not None:
                self.consumer.start(partition, offset, held[partition])
                self._written[partition] = offset
                fields = {"partition": partition, "offset": offset, "end": held[partition].end}
                log.info("partition claimed", extra=fields)

    def _claim(self, partition: int, held: Mapping[int, LogRange]) -> Claim:
        consumer, beginning = self.consumer, held[partition].beginning
        group = (consumer.generation, consumer.member)
        return Claim(consumer.topic, partition, self.token, consumer.topic_id, beginning, *group)

    def _tick(self, conn: Connection) -> None:
        """What is due once per second."""
        now = time.monotonic()
        if now < self._tick_at:
            return
        self._tick_at = now + _TICK_SECONDS
        self._require_owned(conn)
        active = self.consumer.active
        self.consumer.commit({partition: offset for partition, offset in self._written.items() if partition in active})
        self._require_progress(now)
        self._open_transactions.look(active, self.consumer.high_watermarks, now)
        if self.consumer.seconds_without_commit > _COMMIT_SILENCE_SECONDS:
            self.health.report(healthy=False, state="Kafka does not answer the group's commits")
        else:
            state = "projecting" if active else "waiting for partitions"
            self.health.report(healthy=True, state="; ".join((state, *self._open_transactions.sentences)))
        if self._summary.age_seconds >= self.settings.summary_seconds:
            self._summary.log("summary")

    def _require_owned(self, conn: Connection) -> None:
        """Raise Fenced if a position was moved or taken. A partition without records has no batch that notices it."""
        with transaction(conn):
            owned = positions.owned(conn, self.consumer.topic, self.token)
        lost = [partition for partition in self.consumer.active if owned.get(partition) != self._written[partition]]
        if lost:
            raise Fenced(f"the positions of partitions {sorted(lost)} were moved, or taken by another member")

    def _require_progress(self, now: float) -> None:
        """Raise BrokerUnavailable if a partition with lag is stalled: a new consumer reads it (0002, T1 and T2)."""
        stalled = self._stalls.stalled(self.consumer.active, now)
        for partition, held in self.consumer.log_ranges(stalled).items() if stalled else ():
            if held.end > (offset := self.consumer.active[partition]):
                raise BrokerUnavailable(f"partition {partition} makes no progress at offset {offset} of {held.end}")

    def _drop_polled(self, error: Fenced) -> None:
        """Another member owns what we read. Before the next claim, poll for one heartbeat to get the new assignment."""
        self._fenced_in_a_row += 1
        log.warning("fenced", extra={"reason": str(error), "in_a_row": self._fenced_in_a_row})
        self.consumer.pause_all()
        self._claim_at = time.monotonic() + self.settings.heartbeat_interval_ms / 1000
        if self._fenced_in_a_row >= _FENCED_IN_A_ROW:
            self._fenced_in_a_row = 0
            self.consumer.close()

    # --- the connection to Postgres

    def _connect(self) -> Connection | None:
        """The connection, if there is one or it is time to try again."""
        if self._conn is None and time.monotonic() >= self._connect_at:
            self._connect_at = time.monotonic() + _RETRY_SECONDS
            conn = open_view(self.settings, synchronous_commit=self.settings.synchronous_commit)
            with closed_on_error(conn):
                prepare(conn)
            self._conn = conn
            self._outages.end("Postgres")
        return self._conn

    def _disconnect(self) -> None:
        """Drop the pending batch. The next claim reads from the position's row whether it was committed."""
        self.consumer.pause_all()
        self._stalls.reset()
        self._pending = None
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()
