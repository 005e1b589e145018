"""Compacted topics: Kafka's own setting, and the records that compaction removed (decision 0009)."""

import logging
from collections.abc import Iterable
from typing import Any

from kafka.admin import ConfigResourceType
from kafka.errors import AuthorizationError, IncompatibleBrokerVersion, for_code
from kafka.protocol.admin import DescribeConfigsRequest

from projector.domain.positions import Polled

log = logging.getLogger(__name__)

INCOMPLETE = (
    "compaction removes records of this topic, so the view cannot be projected completely: set cleanup.policy=delete, "
    "and a retention that is longer than your longest outage"
)
_POLICY = "cleanup.policy"


def cleanup_policy(consumer: Any, topic: str) -> str | None:
    """The topic's `cleanup.policy`: `delete`, `compact`, or both. None if the user may not describe its configs.

    Raises the client's errors.
    """
    request = DescribeConfigsRequest(resources=[(ConfigResourceType.TOPIC, topic, [_POLICY])])

    async def send() -> Any:
        return await consumer._manager.send(request)

    try:
        (result,) = consumer._manager.run(send).results
        if result.error_code:
            raise for_code(result.error_code)(result.error_message)
    except (AuthorizationError, IncompatibleBrokerVersion) as refused:
        log.info("the topic's cleanup.policy is unknown", extra={"topic": topic, "reason": str(refused)})
        return None
    return next((config.value for config in result.configs if config.name == _POLICY), None)


def is_compacted(policy: str | None) -> bool:
    """Whether a topic with this `cleanup.policy` loses records in the middle of its log."""
    return policy is not None and "compact" in policy


def warn_if_compacted(consumer: Any, topic: str) -> None:
    """Log that the topic cannot be projected completely, if it is compacted."""
    policy = cleanup_policy(consumer, topic)
    if is_compacted(policy):
        log.warning(INCOMPLETE, extra={"topic": topic, "cleanup_policy": policy})


class MissingRecords:
    """Counts the offsets in holes, logs the first hole of each partition, and keeps where the last one ends."""

    def __init__(self) -> None:
        self.count = 0
        self.ends: dict[int, int] = {}
        """Partition → the offset after its last hole."""

    def note(self, polled: Iterable[Polled]) -> bool:
        """Count the holes that are new; return whether there are any. Offsets that are read again do not count."""
        before = self.count
        for part in polled:
            for beginning, end in part.holes:
                self._note(part, beginning, end)
        return self.count > before

    def _note(self, part: Polled, beginning: int, end: int) -> None:
        known = self.ends.get(part.partition)
        self.count += max(0, end - max(beginning, known or 0))
        self.ends[part.partition] = max(end, known or 0)
        if known is None:
            log.warning(
                "records are missing in the log: compaction removed them",
                extra={
                    "topic": part.topic,
                    "partition": part.partition,
                    "offsets": f"{beginning} to {end - 1}",
                    "records": end - beginning,
                },
            )
