"""What `projector doctor` asks Kafka: requests that describe. It joins no group, and creates and commits nothing."""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import for_code
from kafka.protocol.consumer import OffsetSpec

from projector.kafka import connection
from projector.kafka.connection import mapped_errors
from projector.kafka.group import Group, describe
from projector.settings import KafkaSettings

_TIMEOUT_MS = 5_000
_UNKNOWN_TOPIC = 3
CONFIGS = ("cleanup.policy", "retention.ms", "retention.bytes", "message.timestamp.type")


class Topic(NamedTuple):
    """The topic's partitions, and what this user may do with it. None if the broker does not return it."""

    partitions: list[int]
    operations: frozenset[str] | None


class Clock(NamedTuple):
    """The clock of a server, in seconds since 1970. `asked_at` and `answered_at` are by the clock of this machine."""

    at: float
    asked_at: float
    answered_at: float


class Inspection:
    """Questions to a cluster. Each may raise BrokerUnavailable, or Misconfigured if the user lacks the right."""

    def __init__(self, admin: Any, topic: str) -> None:
        self._admin = admin
        self._topic = topic

    def version(self) -> tuple[int, ...]:
        """The version whose requests the broker answers: it is at least this one."""
        with mapped_errors(self._admin):
            return tuple(self._admin._manager.broker_version)

    def topic(self) -> Topic | None:
        """The topic, or None if there is none."""
        with mapped_errors(self._admin):
            (found,) = self._admin.describe_topics([self._topic])
            if found["error_code"] == _UNKNOWN_TOPIC:
                return None
            if found["error_code"]:
                raise for_code(found["error_code"])(self._topic)
        operations = found.get("authorized_operations")
        partitions = sorted(each["partition_index"] for each in found["partitions"])
        return Topic(partitions, frozenset(operations) if operations else None)

    def configs(self) -> dict[str, str]:
        """The topic's settings of CONFIGS. One that the broker does not have is missing."""
        resource = ConfigResource(ConfigResourceType.TOPIC, self._topic, list(CONFIGS))
        request = self._admin._describe_configs_request([resource])

        async def send() -> Any:
            return await self._admin._manager.send(request)

        with mapped_errors(self._admin):
            (result,) = self._admin._manager.run(send).results
            if result.error_code:
                raise for_code(result.error_code)(result.error_message)
        return {config.name: config.value for config in result.configs}

    def first_timestamps(self, partitions: list[int]) -> dict[int, int]:
        """Partition → the timestamp (ms since 1970) of its first record, if it has one."""
        return self._timestamps(partitions, 0)

    def newest_timestamps(self, partitions: list[int]) -> dict[int, int]:
        """Partition → the latest timestamp (ms since 1970) of its records, if it has one."""
        return self._timestamps(partitions, OffsetSpec.MAX_TIMESTAMP)

    def _timestamps(self, partitions: list[int], which: int) -> dict[int, int]:
        with mapped_errors(self._admin):
            found = self._admin.list_partition_offsets(
                {TopicPartition(self._topic, partition): which for partition in partitions}
            )
        return {place.partition: each.timestamp for place, each in found.items() if each.timestamp >= 0}

    def sizes(self) -> dict[int, int]:
        """Partition → the bytes of its log, on the broker that holds most of it."""
        sizes: dict[int, int] = {}
        for directory in self._log_dirs([self._topic]):
            for topic in directory["topics"]:
                for each in topic["partitions"]:
                    number = each["partition_index"]
                    sizes[number] = max(sizes.get(number, 0), each["partition_size"])
        return sizes

    def usable_bytes(self) -> int | None:
        """The free space of the fullest log directory. None before Kafka 3.3."""
        found = [each.get("usable_bytes", -1) for each in self._log_dirs([self._topic])]
        return min((size for size in found if size >= 0), default=None)

    def _log_dirs(self, topics: list[str]) -> list[Mapping[str, Any]]:
        with mapped_errors(self._admin):
            brokers = self._admin.describe_log_dirs(topics)
            directories = [each for broker in brokers for each in broker["log_dirs"]]
            for each in directories:
                if each["error_code"]:
                    raise for_code(each["error_code"])("log directories")
            if not directories:  # a user without the right gets an empty answer
                raise for_code(31)("the log directories of the brokers")
        return directories

    def controller_clock(self) -> Clock:
        """The clock of the active controller. Its answer about the quorum has the time at which it answered."""
        with mapped_errors(self._admin):
            asked_at = time.time()
            quorum = self._admin.describe_metadata_quorum()
            answered_at = time.time()
        partition = quorum["topics"][0]["partitions"][0]
        (leader,) = [each for each in partition["current_voters"] if each["replica_id"] == partition["leader_id"]]
        return Clock(leader["last_fetch_timestamp"] / 1000, asked_at, answered_at)

    def groups(self, ids: Collection[str]) -> list[Group]:
        """Those of these groups that exist, and that this user may see.

        A group is described only if a broker lists it. To look for the coordinator of an unknown group would create
        the topic of offsets in a new cluster.
        """
        with mapped_errors(self._admin):
            listed = {each["group_id"] for each in self._admin.list_groups()}
            return [describe(self._admin, group_id) for group_id in ids if group_id in listed]


@contextmanager
def open_inspection(settings: KafkaSettings) -> Iterator[Inspection]:
    """Questions about the topic of the settings. Raises BrokerUnavailable, Misconfigured."""
    connection.require_reachable(settings.bootstrap_servers)
    arguments = connection.arguments(settings) | {
        "request_timeout_ms": _TIMEOUT_MS,
        "bootstrap_timeout_ms": _TIMEOUT_MS,
        "client_id": "projector-doctor",
    }
    known = {name: arguments[name] for name in arguments.keys() & KafkaAdminClient.DEFAULT_CONFIG.keys()}
    with mapped_errors():
        admin = connection.started(KafkaAdminClient, known, settings)
    with closing(admin):
        yield Inspection(admin, settings.topic)
