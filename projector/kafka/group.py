"""The consumer group as Kafka describes it: its members, and the partitions that are assigned to each."""

import logging
import os
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import GroupIdNotFoundError, KafkaError, for_code
from kafka.protocol.admin import DescribeGroupsRequest, ListGroupsRequest
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from kafka.protocol.metadata import CoordinatorType, FindCoordinatorRequest

log = logging.getLogger(__name__)

CLIENT_ID = "projector"
STABLE = "Stable"
_EMPTY = "Empty"
_PROTOCOL_TYPE = "consumer"
_NAME_PREFIX = b"projector "
_WAIT_SECONDS = 2.0
"""A coordinator that is starting, or elected just now, is asked again for this time."""
_RETRY_SECONDS = 0.1
_NAMED = 3


def member_name() -> str:
    """The name of this process as a member: host/pid. The claims in Postgres have the same."""
    return f"{socket.gethostname()}/{os.getpid()}"


class Assignor(RangePartitionAssignor):  # type: ignore[misc]  # the client ships no types
    """Kafka's range assignor. A member sends its name along, as the user data of its subscription.

    The name is not part of the client id: quotas and metrics of the broker have one entry per client id.
    """

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> Any:
        return ConsumerProtocolSubscription(cls.version, list(topics), _NAME_PREFIX + member_name().encode())


class Member(NamedTuple):
    """A member of a group. `name` (host/pid) is None if it is no projector of this release.

    `topics` are those that it subscribes to, and `assigned` its (topic, partition). Kafka describes both only while
    the group does not rebalance.
    """

    name: str | None
    client_id: str
    host: str
    topics: frozenset[str]
    assigned: frozenset[tuple[str, int]]

    @property
    def is_projector(self) -> bool:
        """Whether it is a projector, perhaps of an earlier release."""
        return self.name is not None or self.client_id == CLIENT_ID

    def __str__(self) -> str:
        return self.name or f"{self.client_id} at {self.host}"


class Group(NamedTuple):
    """A group. `state` and `protocol` (the assignment strategy) are Kafka's words. A group that never was is Empty.

    `is_classic` is false if its members use another protocol than that of a classic consumer: Kafka then does not
    describe them.
    """

    group_id: str
    state: str
    protocol: str
    is_classic: bool
    members: tuple[Member, ...]

    @property
    def is_settled(self) -> bool:
        """Whether the assignments are known: the group does not rebalance."""
        return self.is_classic and self.state in (STABLE, _EMPTY)

    @property
    def others(self) -> str | None:
        """The sentence about members that are no projector, if there are any."""
        if not self.is_classic and self.state != _EMPTY:
            return others_sentence(self.group_id, "its members do not use the classic consumer protocol")
        names = sorted(str(member) for member in self.members if not member.is_projector)
        return others_sentence(self.group_id, f"its members include {', '.join(names[:_NAMED])}") if names else None

    def assigned(self, topic: str) -> dict[int, Member]:
        """Partition of the topic → the member that it is assigned to."""
        return {partition: member for member in self.members for name, partition in member.assigned if name == topic}


def others_sentence(group_id: str, reason: str) -> str:
    """The sentence about a group that is used by something else than projectors."""
    return (
        f"PROJECTOR_GROUP_ID={group_id}: another application uses this consumer group ({reason}). Set a group id that "
        "only the projectors of this view use"
    )


def others(consumer: Any, group_id: str) -> str | None:
    """The sentence about members that are no projector. None if there are none, or if the group cannot be described."""
    found = _described(consumer, group_id)
    return found.others if found else None


def mismatch(consumer: Any, group_id: str) -> str:
    """The sentence about a group that refuses us, because its members use another strategy or protocol."""
    found = _described(consumer, group_id)
    strategy = f"its strategy is {found.protocol}" if found and found.protocol else "its strategy is another one"
    return (found.others if found else None) or others_sentence(group_id, f"{strategy}, and ours is {Assignor.name}")


def _described(consumer: Any, group_id: str) -> Group | None:
    try:
        return describe(consumer, group_id)
    except KafkaError as error:
        log.debug("the group is unknown", extra={"group_id": group_id, "reason": repr(error)})
        return None


def describe(client: Any, group_id: str) -> Group:
    """The group as its coordinator describes it. `client`: a consumer. Raises the client's errors."""
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            return client._manager.run(_describe, client._manager, group_id)  # type: ignore[no-any-return]
        except KafkaError as error:
            if not error.retriable or time.monotonic() > until:
                raise
        time.sleep(_RETRY_SECONDS)


async def _describe(manager: Any, group_id: str) -> Group:
    request = FindCoordinatorRequest(key=group_id, key_type=CoordinatorType.GROUP.value, coordinator_keys=[group_id])
    found = await manager.send(request)
    coordinator = found.coordinators[0] if found.coordinators else found
    node = manager.cluster.add_coordinator(coordinator, CoordinatorType.GROUP, group_id)
    (described,) = (await manager.send(DescribeGroupsRequest(groups=[group_id]), node_id=node)).groups
    error = for_code(described.error_code)
    if error is GroupIdNotFoundError:
        # Also the answer about a group of a newer protocol (KIP-848). Only the message differs.
        if "not a classic group" in (described.error_message or ""):
            return Group(group_id, await _listed_state(manager, node, group_id), "", False, ())
        return Group(group_id, _EMPTY, "", True, ())
    if described.error_code:
        raise error(described.error_message or group_id)
    is_classic = described.protocol_type in ("", _PROTOCOL_TYPE)
    return Group(
        group_id,
        _EMPTY if described.group_state == "Dead" else described.group_state,
        described.protocol_data,
        is_classic,
        tuple(_member(each, is_classic) for each in described.members),
    )


async def _listed_state(manager: Any, node: Any, group_id: str) -> str:
    """The state of a group that this client cannot describe."""
    listed = await manager.send(ListGroupsRequest(min_version=4), node_id=node)
    return next((each.group_state for each in listed.groups if each.group_id == group_id), _EMPTY)


def _member(described: Any, is_classic: bool) -> Member:
    subscription = _decoded(ConsumerProtocolSubscription, described.member_metadata) if is_classic else None
    assignment = _decoded(ConsumerProtocolAssignment, described.member_assignment) if is_classic else None
    data = bytes(subscription.user_data or b"") if subscription else b""
    return Member(
        data.removeprefix(_NAME_PREFIX).decode(errors="replace") if data.startswith(_NAME_PREFIX) else None,
        described.client_id,
        described.client_host.removeprefix("/"),
        frozenset(subscription.topics if subscription else ()),
        frozenset((place.topic, place.partition) for place in assignment.partitions()) if assignment else frozenset(),
    )


def _decoded(kind: Any, data: bytes) -> Any:
    """None if there is no data, or if it is no data of a consumer: the protocol lets a member send any bytes."""
    with suppress(Exception):
        return kind.decode(data) if data else None
