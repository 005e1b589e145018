"""Reads the state of the demo: end offsets from the broker, positions and tables from the database."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple, Self

import psycopg
from kafka import KafkaConsumer, TopicPartition

from testbed.demo.damage import ORDINARY
from testbed.demo.environment import PARTITIONS, Environment
from testbed.process import ManagedProcess, ProcessFailed
from testbed.servers.server import tail

POLL_SECONDS = 0.05
NO_PROGRESS_TIMEOUT_SECONDS = 30.0


class Offsets(NamedTuple):
    """End offsets of the topic and positions of the view, each summed over the partitions."""

    end: int
    position: int

    @property
    def lag(self) -> int:
        return self.end - self.position


class InFlight(NamedTuple):
    """A delegation in flight."""

    delegation_id: str
    status: str
    created_at: datetime
    last_heartbeat: datetime | None


@contextmanager
def _late_interrupt() -> Iterator[None]:
    """A Ctrl-C within the block raises KeyboardInterrupt after it: tasks of the client catch every exception."""
    arrived: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:  # a job in the background of a shell
        yield
        return
    signal.signal(signal.SIGINT, lambda number, _: arrived.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if arrived:
        raise KeyboardInterrupt


class Observer:
    """Observes an environment by its broker and its database, never by the projector."""

    def __init__(self, environment: Environment, conn: psycopg.Connection[tuple[Any, ...]], consumer: Any) -> None:
        self._environment, self.conn, self._consumer = environment, conn, consumer

    @classmethod
    @contextmanager
    def connected(cls, environment: Environment) -> Iterator[Self]:
        """Connect to both servers, and disconnect at the end."""
        consumer = KafkaConsumer(
            bootstrap_servers=environment.kafka.bootstrap_servers,
            isolation_level="read_committed",
            enable_auto_commit=False,
        )
        try:
            with psycopg.connect(environment.database_url, autocommit=True, options="-c TimeZone=UTC") as conn:
                yield cls(environment, conn, consumer)
        finally:
            consumer.close()

    def end_offsets(self) -> dict[int, int]:
        """Partition → the offset after its last record."""
        partitions = [TopicPartition(self._environment.topic, number) for number in range(PARTITIONS)]
        with _late_interrupt():
            return {place.partition: end for place, end in self._consumer.end_offsets(partitions).items()}

    def positions(self) -> dict[int, int]:
        """Partition → the next offset to project."""
        return dict(
            self.conn.execute(
                "SELECT partition, next_offset FROM projector.positions WHERE topic = %s", [self._environment.topic]
            ).fetchall()
        )

    def owns_all(self, projector: ManagedProcess) -> bool:
        """Whether this process has claimed every partition."""
        owned = self.conn.execute(
            "SELECT count(*) FROM projector.positions WHERE topic = %s AND split_part(member, '/', 2) = %s",
            [self._environment.topic, str(projector.pid)],
        ).fetchone()
        return owned == (PARTITIONS,)

    def offsets(self) -> Offsets:
        """Read the positions first, so that they are never beyond the end offsets."""
        position = sum(self.positions().values())
        return Offsets(sum(self.end_offsets().values()), position)

    def wait_until(
        self, done: Callable[[Offsets], bool], show: Callable[[Offsets], object], *processes: ManagedProcess
    ) -> Offsets:
        """Block until `done` is true of the offsets, and `show` them meanwhile; returns the last ones.

        Raises ProcessFailed if one of the processes fails, or if the offsets do not change any more.
        """
        last, changed_at = Offsets(-1, -1), time.monotonic()
        while True:
            offsets = self.offsets()
            show(offsets)
            if done(offsets):
                return offsets
            for process in processes:
                process.raise_if_failed()
            if offsets != last:
                last, changed_at = offsets, time.monotonic()
            elif time.monotonic() - changed_at > NO_PROGRESS_TIMEOUT_SECONDS:
                logs = "\n".join(tail(process.log) for process in processes)
                raise ProcessFailed(f"no progress for {NO_PROGRESS_TIMEOUT_SECONDS:.0f} seconds at {offsets}:\n{logs}")
            time.sleep(POLL_SECONDS)

    def statuses(self) -> dict[str, int]:
        """Status → number of rows."""
        return dict(self.conn.execute("SELECT status, count(*) FROM delegations GROUP BY status ORDER BY 2 DESC"))

    def oldest_in_flight(self) -> list[InFlight]:
        """The three delegations in flight that were requested first."""
        rows = self.conn.execute(
            """
            SELECT delegation_id, status, created_at, last_heartbeat FROM delegations
             WHERE status IN ('queued', 'dispatched', 'in_progress') ORDER BY created_at, delegation_id LIMIT 3
            """
        )
        return [InFlight._make(row) for row in rows]

    def example(self) -> str:
        """The id of a delegation with an ordinary id, that has an answer."""
        row = self.conn.execute(
            f"SELECT delegation_id FROM delegations WHERE {ORDINARY} AND status = 'completed' ORDER BY 1 LIMIT 1"
        ).fetchone()
        return row[0] if row else "ID"

    def odd_ids(self) -> int:
        """The number of delegations whose ids are no plain uuids: quotes, umlauts, characters that Postgres lacks."""
        row = self.conn.execute(f"SELECT count(*) FROM delegations WHERE NOT {ORDINARY}").fetchone()
        return row[0] if row else 0

    def parked(self) -> Counter[str]:
        """Delegation id → number of its parked events."""
        rows = self.conn.execute("SELECT delegation_id, count(*) FROM projector.parked GROUP BY delegation_id")
        return Counter(dict(rows.fetchall()))

    def dead_letters(self) -> set[tuple[int, int]]:
        """Partition and offset of each dead letter."""
        return set(self.conn.execute('SELECT partition, "offset" FROM projector.dead_letters').fetchall())
