"""The session of a member while Postgres is unreachable: its next try, and when the member leaves its group."""

import time
from uuid import uuid4

import pytest

from projector.errors import DatabaseUnavailable
from projector.settings import PostgresSettings
from projector.worker.database import Database

UNREACHABLE = PostgresSettings(database_url="postgresql://127.0.0.1:1/none")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A monotonic clock, which shows its last number."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[-1])
    return now


def fail(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        database.connect()
    database.lost()


def test_connection_is_tried_again_after_a_delay(clock: list[float]) -> None:
    database = Database(UNREACHABLE)
    fail(database)
    assert 0 < database.seconds_left <= 1
    assert database.connect() is None
    clock.append(clock[-1] + database.seconds_left)
    fail(database)
    assert database.seconds_left >= 1


def test_member_leaves_after_30_to_45_seconds(clock: list[float]) -> None:
    began_at, left_after = clock[-1], set()
    for _ in range(20):
        clock.append(began_at)
        database = Database(UNREACHABLE)
        database.lost()
        while not database.is_away_too_long:
            clock.append(clock[-1] + 0.01)
        left_after.add(round(clock[-1] - began_at, 2))
    assert min(left_after) >= 30
    assert max(left_after) <= 45.01
    assert len(left_after) > 15, "the members leave at one moment"


def test_later_failures_do_not_postpone_the_end(clock: list[float]) -> None:
    database = Database(UNREACHABLE)
    for _ in range(46):
        if not database.seconds_left:
            database.lost()
        clock.append(clock[-1] + 1)
    assert database.is_away_too_long


def test_release_without_postgres_is_an_error() -> None:
    with pytest.raises(DatabaseUnavailable):
        Database(UNREACHABLE).release(uuid4())
