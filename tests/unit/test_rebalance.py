"""When heartbeats are due, with a clock of the test."""

import pytest

from projector.kafka.rebalance import AlignedHeartbeat

BOOTED_AT = 1_000_000.7


class Clock:
    """`now` is the monotonic time, and `booted_at` the time of day when that was 0."""

    def __init__(self) -> None:
        self.now, self.booted_at = 100.0, BOOTED_AT

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.booted_at + self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in ("projector.kafka.rebalance", "kafka.coordinator.heartbeat"):
        monkeypatch.setattr(f"{module}.time", clock)
    return clock


def heartbeats(clock: Clock, until: float) -> list[float]:
    """When a member that joined now sends heartbeats, in seconds since then."""
    heartbeat, joined_at = AlignedHeartbeat(heartbeat_interval_ms=3000), clock.now
    heartbeat.reset_timeouts()
    times: list[float] = []
    while True:
        clock.now += heartbeat.time_to_next_heartbeat()
        if clock.now > joined_at + until:
            return times
        heartbeat.sent_heartbeat()
        times.append(clock.now - joined_at)
        clock.now += 0.01  # the answer


def test_first_heartbeats_follow_a_rebalance_soon(clock: Clock) -> None:
    clock.now = 300_000 - BOOTED_AT % 3 + 0.2  # 2.8 s before the next multiple
    assert heartbeats(clock, until=2.7) == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6])


@pytest.mark.parametrize("joined_at", [100.0, 101.3, 102.9])
def test_later_heartbeats_are_at_multiples_of_the_interval(clock: Clock, joined_at: float) -> None:
    clock.now = joined_at
    later = [BOOTED_AT + joined_at + after for after in heartbeats(clock, until=30) if after > 6.5]
    assert len(later) >= 7
    assert [at / 3 for at in later] == pytest.approx([round(at / 3) for at in later], abs=1e-4)


def test_heartbeat_that_failed_is_repeated_soon(clock: Clock) -> None:
    heartbeat = AlignedHeartbeat(heartbeat_interval_ms=3000, retry_backoff_ms=100)
    clock.now += 1000.4 - BOOTED_AT % 3
    heartbeat.sent_heartbeat()
    heartbeat.fail_heartbeat()
    assert heartbeat.time_to_next_heartbeat() == pytest.approx(0.1)
    heartbeat.sent_heartbeat()
    assert heartbeat.time_to_next_heartbeat() > 0.1


def test_clock_that_is_set_delays_no_heartbeat_beyond_the_interval(clock: Clock) -> None:
    heartbeat = AlignedHeartbeat(heartbeat_interval_ms=3000)
    clock.now += 1000
    heartbeat.sent_heartbeat()
    for hours in (-10_000, -1, 1, 10_000):
        clock.booted_at = BOOTED_AT + hours * 3600.5
        assert 0 < heartbeat.time_to_next_heartbeat() <= 3
