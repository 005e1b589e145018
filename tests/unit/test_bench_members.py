"""The arithmetic of the members benchmark."""

from benchmarks.members import Change, longest_gap, longest_unowned


def test_partition_is_unowned_from_its_loss_to_the_next_claim() -> None:
    log = [
        Change(1.0, 0, is_claim=False),
        Change(1.0, 1, is_claim=False),
        Change(1.5, 0, is_claim=True),
        Change(1.6, 1, is_claim=False),  # lost again before anybody claimed it
        Change(3.0, 1, is_claim=True),
    ]
    assert longest_unowned(log) == 2.0


def test_partition_that_was_never_lost_has_an_owner() -> None:
    assert longest_unowned([Change(1.0, 0, is_claim=True), Change(9.0, 0, is_claim=True)]) == 0.0


def test_longest_gap_is_between_neighbours() -> None:
    assert longest_gap([1.0, 1.5, 4.0, 4.25]) == 2.5
    assert longest_gap([1.0]) == 0.0
