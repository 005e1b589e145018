"""A value that is computed in the background: its time, and what remains of it after an error."""

import logging
import threading
from datetime import UTC, datetime

import pytest
from cluster import wait_until

from projector.errors import ProjectorError
from projector.web.refreshed import Refreshed, pause


def test_value_of_before_stays_beside_an_error(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[int | Exception] = [1, ProjectorError("Postgres is away"), ZeroDivisionError("a bug"), 2]

    def compute() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    number = Refreshed("the number", compute, 60)
    number.refresh()
    at = number.snapshot.at
    assert at is not None
    assert at <= datetime.now(UTC)
    found = [tuple(number.snapshot)]
    for _ in range(3):
        number.refresh()
        found.append(tuple(number.snapshot))
    assert found[:3] == [
        (1, at, None),
        (1, at, "Postgres is away"),
        (1, at, "ZeroDivisionError: the log has the details"),
    ]
    last = number.snapshot
    assert (last.value, last.error) == (2, None)
    assert last.at is not None
    assert last.at > at
    assert [each.levelno for each in caplog.records] == [logging.WARNING, logging.ERROR]


def test_outage_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> int:
        raise ProjectorError("Postgres is away")

    number = Refreshed("the number", fail, 60)
    for _ in range(5):
        number.refresh()
    (line,) = caplog.records
    assert line.getMessage() == "a value of the dashboard is not refreshed"
    assert (vars(line)["value"], str(vars(line)["reason"])) == ("the number", "Postgres is away")


@pytest.mark.parametrize(("took", "seconds"), [(0.001, 5), (0.1, 20), (0.3, 60), (10, 60)])
def test_value_is_computed_sooner_while_it_is_cheap(took: float, seconds: float) -> None:
    assert pause(took, 60) == seconds
    assert pause(took, 2) == 2


def test_thread_computes_again_until_it_is_stopped() -> None:
    computed = threading.Semaphore(0)
    number = Refreshed("the number", computed.release, 0.001)
    number.start()
    for _ in range(3):
        assert computed.acquire(timeout=30)
    number.stop(30)
    assert not number._thread.is_alive()


def test_value_that_was_never_started_can_be_stopped() -> None:
    Refreshed("the number", lambda: 1, 60).stop()


def test_computation_that_hangs_keeps_nobody_from_ending() -> None:
    begun, released = threading.Event(), threading.Event()

    def hang() -> bool:
        begun.set()
        return released.wait(60)

    number = Refreshed("the number", hang, 60)
    number.start()
    assert begun.wait(30)
    number.stop(0.01)
    assert number._thread.daemon
    released.set()
    wait_until(lambda: not number._thread.is_alive(), "the end of the thread")
