"""Standing still is told once, and only of a position that did not move."""

from projector.worker.health import StallDetector


def test_position_that_moves_never_stands() -> None:
    standstill = StallDetector(10)
    assert [standstill.stalled({0: at}, at) for at in range(0, 100, 9)] == [[]] * 12


def test_position_that_stands_is_told_after_the_time_and_then_watched_anew() -> None:
    standstill = StallDetector(10)
    told = {at: standstill.stalled({0: 5, 1: at}, at) for at in (0, 10, 11, 21, 22)}
    assert told == {0: [], 10: [], 11: [0], 21: [], 22: [0]}


def test_partition_that_was_away_meanwhile_starts_anew() -> None:
    standstill = StallDetector(10)
    assert [standstill.stalled(positions, at) for at, positions in ((0, {0: 5}), (5, {}), (11, {0: 5}))] == [[], [], []]
