"""The state that `projector status` prints."""

from datetime import datetime
from typing import NamedTuple

from projector.cli.status_verdict import Pace, Verdict, verdict
from projector.lag import Partition
from projector.membership import Groups
from projector.postgres.queries import Totals


class Database(NamedTuple):
    """Where the view is."""

    host: str
    port: int
    name: str
    user: str


class StatusReport(NamedTuple):
    """The state of all partitions, and totals. `kafka_error` is the reason if Kafka did not answer.

    `cleanup_policy` is that of the topic, or None if it is unknown. `notes`: sentences about the consumer
    groups. `unclaimed`: partition → the member that has not claimed it. `is_typo`: the topic does not exist, and
    another one has positions.
    """

    at: datetime
    topic: str
    database: Database
    brokers: str
    kafka_error: str | None
    is_typo: bool
    cleanup_policy: str | None
    partitions: list[Partition]
    totals: Totals
    groups: Groups
    notes: list[str]
    unclaimed: dict[int, str]
    count_again_at: float = 0.0
    """On the clock of `time.monotonic`."""
    pace: Pace | None = None
    exceeded: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Whether the view follows the topic."""
        return verdict(self.topic, self.kafka_error, self.partitions, self.groups, self.at, self.pace)
