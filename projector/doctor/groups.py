"""The checks of the consumer group, and of other groups that claimed positions of this view."""

from collections.abc import Collection, Iterable

from projector.doctor.checks import Check, Checks, change, note, ok
from projector.kafka.group import Assignor, Group, Member, others_sentence
from projector.kafka.inspection import open_inspection
from projector.membership import Groups, not_claimed, other_groups
from projector.postgres.queries import PositionDetail
from projector.settings import Settings
from projector.texts import counted

_NOT_LISTED = "not listed"
_GROUP, _OTHERS = "consumer group", "other groups"


def check_groups(settings: Settings, positions: Collection[PositionDetail], checks: Checks) -> None:
    """Make the checks. `positions`: those of the topic, none if they are unknown. Raises ProjectorError."""
    ids = dict.fromkeys((settings.group_id, *(each.group_id for each in positions if each.group_id)))
    with open_inspection(settings) as cluster:
        found = {group.group_id: group for group in cluster.groups(ids)}
    found.setdefault(settings.group_id, Group(settings.group_id, _NOT_LISTED, "", True, ()))
    groups = Groups(settings.group_id, found)
    checks.append(_own(settings, groups, positions))
    checks.append(_others(settings, groups))


def _own(settings: Settings, groups: Groups, positions: Iterable[PositionDetail]) -> Check:
    group, name = groups.described[settings.group_id], settings.group_id
    if group.others:
        return change(_GROUP, *group.others.split(". ", 1))
    if group.state == _NOT_LISTED:
        return note(_GROUP, f"{name} has no member, or this user may not describe it", "start `projector run`")
    if not group.members:
        effect = ": nothing is projected" if groups.has_no_member(settings.topic) else ""
        return note(_GROUP, f"{name} has no member{effect}", "start `projector run`")
    if group.protocol not in ("", Assignor.name):
        sentence = others_sentence(name, f"its strategy is {group.protocol}")
        return change(_GROUP, *sentence.split(". ", 1))
    if elsewhere := [member for member in group.members if member.topics and settings.topic not in member.topics]:
        return note(
            _GROUP,
            f"members of {name} read another topic: {_names(elsewhere)}",
            "give each topic a group of its own (PROJECTOR_GROUP_ID), so that their members do not wait for each other",
        )
    if waiting := not_claimed(settings.topic, positions, groups):
        return note(_GROUP, "; ".join(waiting), "look at the log of this member, if it does not claim within a minute")
    return ok(_GROUP, f"{name} has {counted(len(group.members), 'member')}: {_names(group.members)}")


def _others(settings: Settings, groups: Groups) -> Check:
    found = other_groups(settings.topic, groups)
    if not found:
        return ok(_OTHERS, "no other group with members has claimed a position of this view")
    if not groups.described[settings.group_id].members:
        return note(_OTHERS, "; ".join(found), "compare PROJECTOR_GROUP_ID with that of the members")
    facts, _, remedy = found[0].partition(". ")
    return change(_OTHERS, facts, remedy)


def _names(members: Iterable[Member]) -> str:
    return ", ".join(sorted(map(str, members)))
