"""The delays between tries: they double, they end at a limit, and no two processes have the same."""

import time

import pytest

from projector.process.backoff import Backoff


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A monotonic clock, which shows its last number."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[-1])
    return now


def test_delays_double_up_to_a_limit(clock: list[float]) -> None:
    retry = Backoff(1.0, 10.0)
    for longest in (1.0, 2.0, 4.0, 8.0, 10.0, 10.0):
        seconds = retry.failed()
        assert longest / 2 <= seconds <= longest
        assert retry.seconds_left == pytest.approx(seconds)
        clock.append(clock[-1] + seconds)
        assert retry.seconds_left == 0


def test_first_try_needs_no_delay() -> None:
    assert Backoff().seconds_left == 0


def test_success_begins_with_the_first_delay() -> None:
    retry = Backoff(1.0, 10.0)
    for _ in range(4):
        retry.failed()
    retry.succeeded()
    assert retry.failed() <= 1.0


def test_failure_after_a_quiet_minute_is_the_first_one(clock: list[float]) -> None:
    retry = Backoff(1.0, 10.0)
    for _ in range(4):
        retry.failed()
    clock.append(clock[-1] + 59.0)
    assert retry.failed() > 1.0
    clock.append(clock[-1] + 80.0)
    assert retry.failed() <= 1.0


def test_processes_do_not_try_in_step() -> None:
    assert len({Backoff(1.0, 10.0).failed() for _ in range(20)}) == 20


def test_first_delay_may_be_above_the_limit() -> None:
    assert Backoff(30.0, 10.0).failed() >= 15.0
