"""What a member looks at once per second, and reports."""

from projector.kafka.consumer import GroupConsumer
from projector.settings import Settings
from projector.worker.batches import Batches
from projector.worker.health import Health
from projector.worker.measures import Measures
from projector.worker.metrics import State
from projector.worker.open_transactions import OpenTransactions
from projector.worker.outages import Brokers
from projector.worker.partitions import Partitions

_COMMIT_SILENCE_SECONDS = 15.0


class Watch:
    """Looks at brokers, transactions, slow records and partitions."""

    def __init__(
        self, health: Health, consumer: GroupConsumer, partitions: Partitions, batches: Batches, settings: Settings
    ) -> None:
        self.measures = Measures(health.meters, consumer, partitions)
        self._health, self._consumer, self._partitions = health, consumer, partitions
        self._slow_records = batches.slow_records
        self._open_transactions = OpenTransactions(settings)
        self._brokers = Brokers()

    def look(self, now: float) -> None:
        """Find brokers that cannot be reached, and open transactions. `now`: of a monotonic clock."""
        self._brokers.look(self._consumer.unreachable)
        self._open_transactions.look(self._consumer.active, self._consumer.high_watermarks, now)

    def report(self) -> None:
        """Measure the partitions, and report how the member is doing."""
        self._slow_records.note_positions(self._partitions.written)
        problems = self._slow_records.sentences({*self._consumer.active, *self._consumer.unclaimed})
        if self._consumer.seconds_without_commit > _COMMIT_SILENCE_SECONDS:
            problems.append("Kafka does not answer the group's commits")
        self.measures.look()
        if problems:
            self._health.report(healthy=False, state="; ".join(problems), kind=State.TROUBLED)
            return
        state, kind = self._state()
        notes = (*self._partitions.second_group, *self._brokers.sentences, *self._open_transactions.sentences)
        self._health.report(healthy=True, state="; ".join([state, *notes]), kind=kind)

    def _state(self) -> tuple[str, State]:
        if self._consumer.active:
            return "projecting", State.WORKING
        has_joined = (self._consumer.generation or 0) > 0
        return "waiting for partitions", State.IDLE if has_joined else State.JOINING
