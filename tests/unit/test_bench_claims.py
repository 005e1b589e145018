"""The rate of members is counted from the moment at which every partition is claimed, and stays so."""

from uuid import UUID

import pytest

from benchmarks.claims import Claim, Sample, claimed_at, rate_after, settled

ONE, TWO = UUID(int=1), UUID(int=2)


def sample(at: float, projected: int, *claims: Claim) -> Sample:
    return Sample(at, projected, at - 0.25, frozenset(claims))


def test_rate_is_counted_from_last_claim() -> None:
    both = (Claim(0, ONE, 1.5), Claim(1, TWO, 2.5))
    samples = [sample(2, 100, both[0]), sample(3, 200, *both), sample(4, 600, *both), sample(5.25, 1000, *both)]
    begin = settled(samples, 2, partitions=2)
    assert begin == samples[1]
    assert claimed_at(begin) == 2.5
    assert rate_after(begin, samples[-1]) == (1000 - 200) / (5.25 - 0.25 - 3)


def test_rebalance_begins_anew() -> None:
    alone = (Claim(0, ONE, 1), Claim(1, ONE, 1))
    shared = (Claim(0, ONE, 3.5), Claim(1, TWO, 4.5))
    again = (Claim(0, ONE, 5.5), Claim(1, TWO, 4.5))
    samples = [sample(2, 100, *alone), sample(4, 300, shared[0]), sample(5, 300, *shared)]
    samples += [sample(6, 400, *again), sample(8, 1000, *again)]
    assert settled(samples, 2, partitions=2) == samples[3]


@pytest.mark.parametrize(
    "claims",
    [(Claim(0, ONE, 1),), (Claim(0, ONE, 1), Claim(1, ONE, 1)), ()],
    ids=["partition without owner", "member without partition", "nothing"],
)
def test_without_all_members_and_partitions_there_is_no_such_moment(claims: tuple[Claim, ...]) -> None:
    assert settled([sample(2, 100, *claims), sample(3, 200, *claims)], 2, partitions=2) is None


def test_few_records_left_give_no_rate() -> None:
    assert rate_after(sample(3, 901), sample(5, 1000)) is None
    assert rate_after(sample(3, 900), sample(5, 1000)) is not None
    assert rate_after(sample(3, 1000), sample(3, 1000)) is None
