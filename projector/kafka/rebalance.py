"""When a member notices a rebalance, and how it takes part. It uses private parts of the client's coordinator."""

import time
from typing import Any

from kafka.coordinator.heartbeat import Heartbeat

_FIRST_SECONDS = 0.1
_COORDINATOR_MS = 1_000


class AlignedHeartbeat(Heartbeat):  # type: ignore[misc]  # the client ships no types
    """Heartbeats at multiples of the interval on the clock, and a few more soon after a rebalance.

    A member learns of a rebalance by the answer to a heartbeat. The library counts the interval from the last
    heartbeat. So the members learn of it at different moments, and the partitions of the first one belong to nobody
    until the last one knows. A wrong clock only shifts the moments.

    Members that start together join one after the other. So heartbeats follow a rebalance after 0.1, 0.2, 0.4, …
    seconds.
    """

    def time_to_next_heartbeat(self) -> float:
        """Seconds until the next heartbeat is due."""
        if self.heartbeat_failed:
            return float(super().time_to_next_heartbeat())
        interval = self.config["heartbeat_interval_ms"] / 1000
        now, last = time.monotonic(), max(self.last_send, self.last_reset)
        aligned = interval - (time.time() - (now - last)) % interval
        doubled = max(last - self.last_reset, _FIRST_SECONDS)
        return float(max(0.0, last + min(aligned, doubled) - now))


def prepare(consumer: Any) -> None:
    """Give a consumer that has not polled yet the heartbeats above."""
    consumer._coordinator.heartbeat = AlignedHeartbeat(**consumer._coordinator.config)


def find_coordinator(consumer: Any) -> None:
    """Find and connect to the coordinator, which the first poll would do otherwise."""
    consumer._coordinator.ensure_coordinator_ready(timeout_ms=_COORDINATOR_MS)


def join(consumer: Any, timeout_ms: int) -> bool:
    """Take part in a rebalance, for at most this time. Returns False if there is none, so that records can be fetched.

    The client's own poll would wait on after the rebalance, although no partition is claimed then. It also forgets a
    rejoin if its reason disappears (decision 0002), so a rejoin that has begun is requested again.
    """
    coordinator = consumer._coordinator
    if coordinator.rejoining:
        coordinator.request_rejoin()
    if not coordinator.need_rejoin():
        return False
    coordinator.poll(timeout_ms=timeout_ms)
    return True
