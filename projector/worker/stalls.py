"""Positions that do not move."""

from collections.abc import Mapping

from projector.errors import BrokerUnavailable
from projector.kafka.consumer import GroupConsumer


class StallDetector:
    """Finds positions that did not move for longer than a limit. Each is then watched from the start again."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen: dict[int, tuple[int, float]] = {}

    def stalled(self, positions: Mapping[int, int], at: float) -> list[int]:
        """Look at positions (partition → offset) at a time of a monotonic clock. Returns the stalled partitions."""
        before, self._seen = self._seen, {}
        stalled = []
        for partition, offset in positions.items():
            seen_offset, since = before.get(partition, (offset, at))
            if seen_offset != offset:
                since = at
            elif at - since > self._seconds:
                stalled.append(partition)
                since = at
            self._seen[partition] = (offset, since)
        return stalled

    def reset(self) -> None:
        """Watch every position from the start again."""
        self._seen.clear()


def require_progress(stalls: StallDetector, consumer: GroupConsumer, now: float) -> None:
    """Raise BrokerUnavailable if a partition with lag is stalled: a new consumer reads it (0002, T1 and T2)."""
    stalled = stalls.stalled(consumer.active, now)
    for partition, held in consumer.log_ranges(stalled).items() if stalled else ():
        if held.end > (offset := consumer.active[partition]):
            raise BrokerUnavailable(f"partition {partition} makes no progress at offset {offset} of {held.end}")
