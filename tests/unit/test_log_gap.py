"""`log_gap`: what is lost between a stored position and the topic as it is now."""

import pytest

from projector.domain.positions import LogRange, Position, log_gap

AT_TEN = Position("activity-log", 0, 10, "id-1")


@pytest.mark.parametrize("log", [None, LogRange(10, 10), LogRange(0, 10), LogRange(10, 20)])
@pytest.mark.parametrize("topic_id", [None, "id-1"])
def test_position_within_the_log_is_no_gap(log: LogRange | None, topic_id: str | None) -> None:
    assert log_gap(AT_TEN, topic_id, log) is None
    assert log_gap(AT_TEN._replace(topic_id=None), "id-2", log) is None


def test_deleted_records_are_a_gap() -> None:
    assert "and the partition holds 11 to 20: 1 records were deleted by retention" in str(
        log_gap(AT_TEN, None, LogRange(11, 20))
    )


def test_truncated_topic_is_a_gap() -> None:
    assert "and the partition holds 0 to 9: 1 projected records are no longer there" in str(
        log_gap(AT_TEN, None, LogRange(0, 9))
    )


def test_recreated_topic_is_a_gap_whatever_it_holds() -> None:
    assert "was deleted and created again" in str(log_gap(AT_TEN, "id-2", LogRange(0, 20)))
