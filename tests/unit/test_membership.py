"""Sentences about the consumer groups, without a server."""

import pytest

from projector.kafka.group import STABLE, Group, Member
from projector.membership import Groups, notes, unclaimed
from projector.postgres.queries import PositionDetail

TOPIC, OURS = "activity-log", "ours"


def member(name: str | None, *partitions: int, client_id: str = "projector") -> Member:
    return Member(name, client_id, "10.0.0.5", frozenset({TOPIC}), frozenset((TOPIC, number) for number in partitions))


def group(*members: Member, group_id: str = OURS, state: str = STABLE) -> Group:
    return Group(group_id, state, "range", True, members)


def claim(partition: int, name: str | None, group_id: str | None = OURS) -> PositionDetail:
    return PositionDetail(partition, 0, name, None, None, None, group_id)


def groups(*described: Group) -> Groups:
    return Groups(OURS, {each.group_id: each for each in described})


def test_claim_of_an_earlier_release_has_no_group_and_counts() -> None:
    assert unclaimed(TOPIC, [claim(0, "a/1", None)], groups(group(member("a/1", 0)))) == {}


def test_claim_under_another_group_does_not_count() -> None:
    assert unclaimed(TOPIC, [claim(0, "a/1", "theirs")], groups(group(member("a/1", 0)))) == {0: "a/1"}


def test_member_of_an_earlier_release_counts_as_having_claimed() -> None:
    """It sends no name, so it may be the owner."""
    found = groups(group(member(None, 0)))
    assert unclaimed(TOPIC, [claim(0, "a/1", None)], found) == {}
    assert notes(TOPIC, [claim(0, "a/1", None)], found) == []


def test_member_of_another_application_never_claims() -> None:
    found = groups(group(member(None, 0, client_id="console")))
    assert unclaimed(TOPIC, [claim(0, "a/1")], found) == {0: "console at 10.0.0.5"}


def test_unclaimed_partitions_of_a_member_are_one_sentence() -> None:
    found = groups(group(member("a/1", 0, 2), member("b/2", 1)))
    assert notes(TOPIC, [claim(0, "b/2"), claim(1, "b/2")], found) == [
        "partitions 0, 2 assigned to a/1, which has not claimed them"
    ]


def test_assignments_are_unknown_during_a_rebalance() -> None:
    found = groups(group(member("a/1", 0), state="PreparingRebalance"))
    assert notes(TOPIC, [], found) == ["group ours is rebalancing: its assignments are unknown for the moment"]


@pytest.mark.parametrize("state", ["Empty", STABLE])
def test_other_group_without_members_is_no_second_group(state: str) -> None:
    found = groups(group(member("a/1", 0)), group(group_id="theirs", state=state))
    assert notes(TOPIC, [claim(0, "a/1")], found) == []
