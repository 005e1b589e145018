"""A stalled position is reported once per limit, and a moving one never."""

from projector.worker.stalls import StallDetector


def test_moving_position_is_never_stalled() -> None:
    detector = StallDetector(10)
    assert [detector.stalled({0: at}, at) for at in range(0, 100, 9)] == [[]] * 12


def test_stalled_position_is_reported_once_per_limit() -> None:
    detector = StallDetector(10)
    reported = {at: detector.stalled({0: 5, 1: at}, at) for at in (0, 10, 11, 21, 22)}
    assert reported == {0: [], 10: [], 11: [0], 21: [], 22: [0]}


def test_partition_assigned_again_starts_from_zero() -> None:
    detector = StallDetector(10)
    assert [detector.stalled(positions, at) for at, positions in ((0, {0: 5}), (5, {}), (11, {0: 5}))] == [[], [], []]
