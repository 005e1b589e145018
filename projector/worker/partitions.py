"""The partitions of a member: claimed in Postgres, read from there, and how far each is written."""

import logging
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID, uuid4

from projector.domain.positions import LogRange, Move
from projector.errors import Fenced, ProjectorError
from projector.kafka.consumer import GroupConsumer
from projector.postgres import positions
from projector.postgres.connection import Connection, transaction
from projector.postgres.positions import Claim
from projector.process.backoff import Backoff
from projector.worker.database import Database
from projector.worker.owners import Owners

log = logging.getLogger(__name__)

_FENCED_IN_A_ROW = 5
_CLAIMS_PER_ROUND = 100


class Partitions:
    """Claims what the group assigned. `token` is the owner that the claimed positions name in Postgres."""

    def __init__(self, consumer: GroupConsumer, heartbeat_seconds: float) -> None:
        self.token: UUID = uuid4()
        self.claimed: set[int] = set()
        """The partitions whose positions may name this member as owner, until `release`."""
        self._consumer = consumer
        self._owners = Owners(consumer.topic, consumer.group_id, self.token)
        self.record_at: dict[int, datetime | None] = {}
        """Partition → timestamp of its last projected record, if known; also of partitions that were taken away."""
        self._written: dict[int, int] = {}
        self._claim_at: dict[int, float] = {}
        self._fences = Backoff(2 * heartbeat_seconds)  # at least one heartbeat, which can bring a new assignment
        self._fenced_in_a_row = 0

    @property
    def second_group(self) -> list[str]:
        """The sentence about a second group, while its members take positions from this one."""
        return self._owners.sentences

    @property
    def written(self) -> dict[int, int]:
        """Active partition → its position in Postgres."""
        return {partition: self._written[partition] for partition in self._consumer.active}

    def claim(self, conn: Connection) -> None:
        """Claim unclaimed partitions, except delayed ones, and read them from their positions."""
        now = time.monotonic()
        due = [partition for partition in self._consumer.unclaimed if now >= self._claim_at.get(partition, now)]
        if not due:
            return
        due = due[:_CLAIMS_PER_ROUND]
        held = self._consumer.log_ranges(due)
        self.claimed.update(due)
        with transaction(conn):
            offsets = {partition: positions.claim(conn, self._claim(partition, held)) for partition in due}
            stored = positions.read(conn, self._consumer.topic)
        self.record_at |= {partition: stored[partition].record_at for partition in due if partition in stored}
        for partition, offset in offsets.items():
            if offset is not None:
                self._consumer.start(partition, offset, held[partition])
                self._written[partition] = offset
                fields = {"partition": partition, "offset": offset, "end": held[partition].end}
                log.info("partition claimed", extra=fields)

    def _claim(self, partition: int, held: Mapping[int, LogRange]) -> Claim:
        consumer, beginning = self._consumer, held[partition].beginning
        group = (consumer.generation, consumer.member, consumer.group_id)
        return Claim(consumer.topic, partition, self.token, consumer.topic_id, beginning, *group)

    def delay(self, partitions: Iterable[int], seconds: float) -> None:
        """Do not claim these partitions for a while."""
        self._claim_at.update(dict.fromkeys(partitions, time.monotonic() + seconds))

    def wrote(self, moves: Iterable[Move]) -> None:
        """A batch was written: its positions are the new ones."""
        for move in moves:
            self._written[move.partition] = move.next_offset
            self.record_at[move.partition] = move.record_at or self.record_at.get(move.partition)
        self._fenced_in_a_row = 0
        self._fences.succeeded()

    def require_owned(self, conn: Connection) -> None:
        """Raise Fenced if a position was moved or taken. A partition without records has no batch that notices it."""
        with transaction(conn):
            owned = positions.owned(conn, self._consumer.topic, self.token)
        lost = [partition for partition, offset in self.written.items() if owned.get(partition) != offset]
        if lost:
            raise Fenced(f"the positions of partitions {sorted(lost)} were moved, or taken by another member")

    def fenced(self, error: Fenced, conn: Connection | None = None) -> None:
        """Another member owns what we read: drop it. Before the next claim, wait longer each time.

        After several times in a row, the member leaves the group and joins it again. `conn`: to find the other member.
        """
        self._fenced_in_a_row += 1
        reason = self._owners.explain(conn, self._consumer.active) or str(error)
        log.warning("fenced", extra={"reason": reason, "in_a_row": self._fenced_in_a_row})
        self._consumer.pause_all()
        self.delay(self._consumer.unclaimed, self._fences.failed())
        if self._fenced_in_a_row >= _FENCED_IN_A_ROW:
            self._fenced_in_a_row = 0
            self._consumer.close()

    def release(self, database: Database) -> None:
        """Clear this member's name in the positions, or log that it is still there."""
        if not self.claimed:
            return
        try:
            database.release(self.token)
            self.claimed.clear()
        except ProjectorError as error:
            self.warn_not_released(str(error))

    def warn_not_released(self, reason: str) -> None:
        """Log that positions may still name this member as owner, if it has claimed any."""
        if self.claimed:
            fields = {"member": self._consumer.member, "partitions": sorted(self.claimed), "reason": reason}
            log.warning("could not release ownership of the partitions", extra=fields)
