"""What the relay measures."""

import time

from projector.domain.reply import State
from projector.push.batch import Batch
from projector.worker.meters import Meters
from projector.worker.metrics import Part

_COUNTERS = {
    State.SENT: ("push_sent_total",),
    State.TOLD_BY_PLATFORM: ("push_told_by_platform_total",),
    State.GIVEN_UP: ("push_failed_total", "given_up"),
    State.EXPIRED: ("push_failed_total", "expired"),
    State.DUE: ("push_failed_total", "retried_later"),
}
"""State → the counter of the tries that ended so, and the reason in it."""


class Measures:
    """Writes the metrics of one relay."""

    def __init__(self, meters: Meters, target: str) -> None:
        self._meters, self._target = meters, target
        meters.begin(Part.PUSH)
        for state in _COUNTERS:
            self._add(state, 0)

    def sent(self, batch: Batch) -> None:
        """A batch was sent, and marked."""
        for state, count in batch.states.items():
            self._add(state, count)

    def passed(self) -> None:
        """Nothing is due any more."""
        self._meters.set("push_last_pass_timestamp_seconds", time.time())

    def _add(self, state: State, count: int) -> None:
        name, *reason = _COUNTERS[state]
        self._meters.add(name, self._target, *reason, by=count)
