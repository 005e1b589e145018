"""The checks of the cluster, of the topic and of the consumer group."""

from collections.abc import Mapping
from contextlib import suppress

from projector.doctor.checks import Check, Checks, change, note, ok
from projector.doctor.clocks import Reading
from projector.errors import Misconfigured, ProjectorError
from projector.kafka.compaction import INCOMPLETE, is_compacted
from projector.kafka.connection import no_topic
from projector.kafka.inspection import Inspection, Topic, open_inspection
from projector.settings import Settings
from projector.texts import counted, size

NAME = "kafka"
REMEDY = "start Kafka, or correct PROJECTOR_BOOTSTRAP_SERVERS and the settings of the login"
POLICY = "cleanup.policy"
_READ = "READ"


class Broker:
    """The checks, and what other checks need. What is unknown is None or missing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.topic: Topic | None = None  # if it can be read
        self.configs: Mapping[str, str] | None = None
        self.sizes: Mapping[int, int] = {}
        self.first_timestamps: Mapping[int, int] = {}
        self.newest_timestamps: Mapping[int, int] = {}
        self.clock: Reading | None = None
        self.version: tuple[int, ...] | None = None
        self.answers = False

    def check(self, checks: Checks) -> None:
        """Make the checks. Raises ProjectorError if Kafka cannot be reached."""
        with open_inspection(self._settings) as cluster:
            self.version = cluster.version()
            checks.append(ok(NAME, f"{self._settings.bootstrap_servers} answers"))
            self._read_clock(cluster)
            checks.append(self._check_topic(cluster))  # the first request to a broker at its advertised address
            self.answers = True
            if (topic := self.topic) is not None:
                checks.add(POLICY, lambda: [self._check_policy(cluster)])
                checks.add("records", lambda: self._read_records(cluster, topic.partitions))
            checks.add("broker space", lambda: [_space(cluster.usable_bytes())])

    def _check_topic(self, cluster: Inspection) -> Check:
        name, topic = "topic", self._settings.topic
        grant = f"allow the user READ on topic {topic}, and on group {self._settings.group_id}"
        try:
            found = cluster.topic()
        except Misconfigured as error:
            return change(name, str(error), grant)
        if found is None:
            return change(name, *no_topic(topic).split(": ", 1))
        if found.operations is not None and _READ not in found.operations:
            return change(name, f"this user may not read topic {topic}", grant)
        self.topic = found
        return ok(name, f"{topic} has {counted(len(found.partitions), 'partition')}")

    def _check_policy(self, cluster: Inspection) -> Check:
        name = POLICY
        self.configs = cluster.configs()
        policy = self.configs.get(name)
        if is_compacted(policy):
            return change(name, f"it is {policy}", INCOMPLETE)
        return ok(name, f"it is {policy}")

    def _read_records(self, cluster: Inspection, partitions: list[int]) -> list[Check]:
        self.first_timestamps = cluster.first_timestamps(partitions)
        self.newest_timestamps = cluster.newest_timestamps(partitions)
        with suppress(ProjectorError):  # not every user may read the sizes
            self.sizes = cluster.sizes()
        return []

    def _read_clock(self, cluster: Inspection) -> None:
        with suppress(ProjectorError):  # the check of the clocks reports it
            self.clock = Reading("Kafka's controller", *cluster.controller_clock())


def _space(usable: int | None) -> Check:
    name = "broker space"
    if usable is None:
        return note(name, "hint: this Kafka does not return the free space of its brokers")
    return ok(name, f"hint: {size(usable)} are free in the fullest log directory")
