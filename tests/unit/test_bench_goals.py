"""Goals of the benchmark: the median of ratios within rounds decides."""

import pytest

from benchmarks.goals import Goal, ratios


def test_median_of_rounds_decides() -> None:
    goal = Goal("fast", "≥ 1.5", [1.7, 1.4, 1.6])
    assert goal.row == ["fast", "≥ 1.5", "1.60 (1.40 to 1.70)", "reached"]
    assert not Goal("fast", "≥ 1.5", [1.7, 1.4, 1.4]).reached
    assert Goal("exact", "≥ 1.5", [1.5]).reached


def test_upper_limit_with_unit() -> None:
    assert Goal("small", "≤ 200 MB", [147.4]).row == ["small", "≤ 200 MB", "147 MB", "reached"]
    assert Goal("small", "≤ 200 MB", [201.0]).row[-1] == "NOT REACHED"


def test_without_values_is_neither_reached_nor_failed() -> None:
    goal = Goal("alone", "≥ 1.2", ratios([2.0], []))
    assert goal.row == ["alone", "≥ 1.2", "", "not measured"]
    assert goal.json == {"name": "alone", "wanted": "≥ 1.2", "values": [], "reached": None}


def test_ratios_are_within_one_round() -> None:
    assert ratios([10, 40], [5, 10]) == [2, 4]
    with pytest.raises(ValueError, match="shorter"):
        ratios([10, 40], [5])
