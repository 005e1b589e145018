"""`projector doctor` without servers: clocks, versions, added partitions, and a server that never answers."""

import threading
import time

import pytest

from projector.doctor.checks import Checks, Level, Part, ok
from projector.doctor.clocks import Reading, clocks
from projector.doctor.machine import versions
from projector.doctor.retention import partitions
from projector.errors import BrokerUnavailable, ProjectorError

NOW = 1_000_000.0
KAFKA = "Kafka's controller"


def reading(server: str, ahead: float, trip: float = 0.0) -> Reading:
    """A clock that is ahead by these seconds, read by a request that takes `trip` seconds."""
    return Reading(server, NOW + ahead, NOW - trip / 2, NOW + trip / 2)


@pytest.mark.parametrize(
    ("postgres", "kafka", "level"),
    [
        (0, 0, Level.OK),
        (4, -1, Level.OK),
        (6, 0, Level.NOTE),
        (0, -6, Level.NOTE),
        (3, -4, Level.NOTE),
        (301, 0, Level.CHANGE),
        (160, -160, Level.CHANGE),
    ],
)
def test_level_of_clocks_is_that_of_the_largest_difference(postgres: float, kafka: float, level: Level) -> None:
    assert clocks([reading("Postgres", postgres), reading(KAFKA, kafka)], None).level is level


def test_slow_answer_proves_no_difference_of_clocks() -> None:
    assert clocks([reading("Postgres", 8, trip=20), reading(KAFKA, -8, trip=20)], None).level is Level.OK


def test_unknown_clock_of_kafka_is_said() -> None:
    found = clocks([reading("Postgres", 0)], None)
    assert found.level is Level.OK
    assert "Kafka's clock is unknown" in found.found


@pytest.mark.parametrize(
    ("postgres", "kafka", "level"),
    [
        (180004, (4, 3), Level.OK),
        (170000, (4, 1), Level.OK),
        (160010, (4, 1), Level.NOTE),
        (190000, (4, 1), Level.NOTE),
        (180000, (3, 9), Level.NOTE),
        (180000, (5, 0), Level.NOTE),
        (None, None, Level.OK),
    ],
)
def test_version_outside_of_the_tests_is_a_note(
    postgres: int | None, kafka: tuple[int, ...] | None, level: Level
) -> None:
    found = versions(postgres, kafka)
    assert found.level is level
    assert ("the tests run with" in found.found) == (level is Level.NOTE)


def test_partitions_with_late_first_records_were_probably_added() -> None:
    day = 86_400_000
    assert partitions({}, [0, 1, 2], {0: 5, 2: day}).level is Level.OK
    assert partitions({}, [0, 1, 2, 3], {0: 5, 1: 0, 2: 2 * day, 3: 3 * day}).found.startswith("partitions 2, 3 got")
    assert partitions({}, [0, 1, 2], {0: 2 * day, 1: 0, 2: 2 * day}).level is Level.OK


# --- one thread per server


def test_server_that_never_answers_is_a_line_after_the_others() -> None:
    end = threading.Event()

    def make(checks: Checks) -> None:
        checks += [ok("first", "done"), ok("kafka", "answers")]
        end.wait()

    found = Part("kafka", make, "start it").wait(time.monotonic() + 0.2)
    end.set()
    assert [(check.name, check.level) for check in found] == [("first", Level.OK), ("kafka", Level.CHANGE)]


def test_check_that_is_refused_is_a_note_and_others_go_on() -> None:
    def refuse() -> list[object]:
        raise ProjectorError("no right")

    checks = Checks()
    checks.add("first", refuse)  # type: ignore[arg-type]  # it never returns
    checks.add("second", lambda: [ok("second", "done")])
    assert [(check.level, check.found) for check in checks] == [
        (Level.NOTE, "cannot be checked: no right"),
        (Level.OK, "done"),
    ]


def test_server_that_cannot_be_reached_is_a_line_with_the_remedy() -> None:
    def make(checks: Checks) -> None:
        checks.append(ok("kafka", "answers"))
        raise BrokerUnavailable("gone")

    (found,) = Part("kafka", make, "start it").wait(time.monotonic() + 10)
    assert found == ("kafka", Level.CHANGE, "gone", "start it")


def test_error_of_ours_is_no_line_of_the_report() -> None:
    def make(checks: Checks) -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        Part("kafka", make, "start it").wait(time.monotonic() + 10)
