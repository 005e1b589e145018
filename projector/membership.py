"""Who reads the topic: the members to whom Kafka assigned its partitions, and those that claimed their positions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from projector.kafka.group import Group
from projector.postgres.queries import PositionDetail
from projector.texts import plural


class Groups(NamedTuple):
    """Our group and the other groups that claimed positions. A group that Kafka did not describe is missing.

    `unknown`: group id → why it was not described.
    """

    group_id: str
    described: Mapping[str, Group] = {}
    unknown: Mapping[str, str] = {}

    @property
    def ours(self) -> Group | None:
        return self.described.get(self.group_id)

    def has_no_member(self, topic: str) -> bool:
        """Whether no member reads the topic. A group that rebalances or is unknown may have members."""
        if self.ours is None or not self.ours.is_settled:
            return False
        return not any(topic in member.topics for group in self.described.values() for member in group.members)

    def assigned(self, topic: str) -> dict[int, str] | None:
        """Partition → the member of our group to which it is assigned. None if the assignments are unknown."""
        if self.ours is None or not self.ours.is_settled:
            return None
        return {partition: str(member) for partition, member in self.ours.assigned(topic).items()}


def two_groups(ours: str, theirs: str, members: Iterable[str]) -> str:
    """The sentence about a second group that projects into the same view."""
    names = sorted(set(members))
    return (
        f"two consumer groups project into this view: ours {ours}, theirs {theirs} ({plural(len(names), 'member')} "
        f"{', '.join(names)}). Stop one of them, or give it another database"
    )


def notes(topic: str, positions: Iterable[PositionDetail], groups: Groups) -> list[str]:
    """Sentences about what is not as it must be, or is unknown."""
    found = [_unknown(group_id, reason) for group_id, reason in groups.unknown.items()]
    if (ours := groups.ours) is not None:
        found += [ours.others] if ours.others else []
        if not ours.is_settled and ours.is_classic:
            found.append(f"group {ours.group_id} is rebalancing: its assignments are unknown for the moment")
    found += other_groups(topic, groups)
    return found + not_claimed(topic, positions, groups)


def _unknown(group_id: str, reason: str) -> str:
    return f"the members of group {group_id} are unknown: {reason}"


def other_groups(topic: str, groups: Groups) -> list[str]:
    """Sentences about other groups that have members for the topic and claimed positions of this view."""
    found = []
    for group_id, group in groups.described.items():
        members = [str(member) for member in group.members if topic in member.topics]
        if group_id == groups.group_id or not members:
            continue
        if groups.ours is not None and any(topic in member.topics for member in groups.ours.members):
            found.append(two_groups(groups.group_id, group_id, members))
        elif groups.ours is not None:
            found.append(
                f"PROJECTOR_GROUP_ID={groups.group_id} has no members for this topic. Group {group_id} projects into "
                f"this view ({plural(len(members), 'member')} {', '.join(sorted(members))})"
            )
    return found


def unclaimed(topic: str, positions: Iterable[PositionDetail], groups: Groups) -> dict[int, str]:
    """Partition → the member of our group to which it is assigned, of those that this member has not claimed.

    A projector of an earlier release does not send its name: whether it has claimed anything is unknown.
    """
    if groups.ours is None or not groups.ours.is_settled:
        return {}
    claims = {each.partition: (each.member, each.group_id) for each in positions}
    return {
        partition: str(member)
        for partition, member in groups.ours.assigned(topic).items()
        if (member.name or not member.is_projector)
        # Claims of earlier releases have no group.
        and claims.get(partition) not in ((member.name, groups.group_id), (member.name, None))
    }


def not_claimed(topic: str, positions: Iterable[PositionDetail], groups: Groups) -> list[str]:
    """Sentences about the partitions that `unclaimed` returns, one per member."""
    by_member: dict[str, list[int]] = defaultdict(list)
    for partition, member in unclaimed(topic, positions, groups).items():
        by_member[member].append(partition)
    return [
        f"{plural(len(partitions), 'partition')} {', '.join(map(str, sorted(partitions)))} assigned to {member}, which "
        f"has not claimed {plural(len(partitions), 'it', 'them')}"
        for member, partitions in sorted(by_member.items())
    ]
