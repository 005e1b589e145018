"""What the demo can see from outside: how long the log is, how far the view is, and what is in the tables."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple, Self

import psycopg
from kafka import KafkaConsumer, TopicPartition

from testbed.demo.stage import PARTITIONS, Stage
from testbed.process import Child, Failed
from testbed.servers.server import tail

LOOK_EVERY_SECONDS = 0.05
PATIENCE_SECONDS = 30.0


class Seen(NamedTuple):
    """The log's length and the view's position in it, summed over the partitions."""

    logged: int
    projected: int

    @property
    def lag(self) -> int:
        return self.logged - self.projected


class InFlight(NamedTuple):
    """A delegation that nobody has heard the end of."""

    delegation_id: str
    status: str
    created_at: datetime
    last_heartbeat: datetime | None


class Watch:
    """Looks at a stage; asks the broker and the database, never the projector."""

    def __init__(self, stage: Stage, conn: psycopg.Connection[tuple[Any, ...]], consumer: Any) -> None:
        self._stage, self.conn, self._consumer = stage, conn, consumer

    @classmethod
    @contextmanager
    def on(cls, stage: Stage) -> Iterator[Self]:
        consumer = KafkaConsumer(
            bootstrap_servers=stage.kafka.bootstrap_servers, isolation_level="read_committed", enable_auto_commit=False
        )
        try:
            with psycopg.connect(stage.database_url, autocommit=True, options="-c TimeZone=UTC") as conn:
                yield cls(stage, conn, consumer)
        finally:
            consumer.close()

    def ends(self) -> dict[int, int]:
        """Partition → the offset after the last record of its log."""
        places = [TopicPartition(self._stage.topic, partition) for partition in range(PARTITIONS)]
        return {place.partition: end for place, end in self._consumer.end_offsets(places).items()}

    def positions(self) -> dict[int, int]:
        """Partition → the next offset that the view's own database expects."""
        return dict(
            self.conn.execute(
                "SELECT partition, next_offset FROM projector.positions WHERE topic = %s", [self._stage.topic]
            ).fetchall()
        )

    def owns_all(self, projector: Child) -> bool:
        """Whether this process has claimed every partition."""
        found = self.conn.execute(
            "SELECT count(*) FROM projector.positions WHERE topic = %s AND split_part(member, '/', 2) = %s",
            [self._stage.topic, str(projector.pid)],
        ).fetchone()
        return found == (PARTITIONS,)

    def look(self) -> Seen:
        """Both at once, or nearly: the position first, so that it is never beyond the end."""
        projected = sum(self.positions().values())
        return Seen(sum(self.ends().values()), projected)

    def until(self, done: Callable[[Seen], bool], tell: Callable[[Seen], object], *children: Child) -> Seen:
        """Look until it is done, telling what is seen; raises Failed where a child fails, or nothing moves any more."""
        before, moved_at = Seen(-1, -1), time.monotonic()
        while True:
            seen = self.look()
            tell(seen)
            if done(seen):
                return seen
            for child in children:
                child.require_well()
            if seen != before:
                before, moved_at = seen, time.monotonic()
            elif time.monotonic() - moved_at > PATIENCE_SECONDS:
                logs = "\n".join(tail(child.log) for child in children)
                raise Failed(f"nothing moved for {PATIENCE_SECONDS:.0f} seconds at {seen}:\n{logs}")
            time.sleep(LOOK_EVERY_SECONDS)

    def statuses(self) -> dict[str, int]:
        """Status → rows."""
        return dict(self.conn.execute("SELECT status, count(*) FROM delegations GROUP BY status ORDER BY 2 DESC"))

    def oldest_in_flight(self) -> list[InFlight]:
        """The three that were asked for first."""
        rows = self.conn.execute(
            """
            SELECT delegation_id, status, created_at, last_heartbeat FROM delegations
             WHERE status IN ('queued', 'dispatched', 'in_progress') ORDER BY created_at, delegation_id LIMIT 3
            """
        )
        return [InFlight._make(row) for row in rows]

    def parked(self) -> Counter[str]:
        """Delegation → its events that wait for a request."""
        rows = self.conn.execute("SELECT delegation_id, count(*) FROM projector.parked GROUP BY delegation_id")
        return Counter(dict(rows.fetchall()))

    def dead_letters(self) -> set[tuple[int, int]]:
        """Partition and offset of each record that is kept as a dead letter."""
        return set(self.conn.execute('SELECT partition, "offset" FROM projector.dead_letters').fetchall())
