"""The partitions that the group assigned to this member, and which of them it reads."""

import logging
from collections.abc import Iterable
from typing import Any

from kafka import ConsumerRebalanceListener, TopicPartition

log = logging.getLogger(__name__)


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]  # the client ships no types
    """The assigned partitions. The client's I/O thread calls it, but only while we are inside poll or close."""

    def __init__(self) -> None:
        self.consumer: Any = None
        self.unclaimed: set[int] = set()
        self.active: dict[int, int] = {}

    def start(self, partition: int, offset: int) -> None:
        self.unclaimed.discard(partition)
        self.active[partition] = offset

    def reset(self, places: Iterable[TopicPartition]) -> None:
        for place in places:
            self.consumer.pause(place)
            self.active.pop(place.partition, None)
            self.unclaimed.add(place.partition)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        assigned = list(assigned)
        self.unclaimed.clear()
        self.active.clear()
        self.reset(assigned)  # partitions that were kept too: their position can be stale
        for place in assigned:
            self.consumer.seek(place, 0)  # a placeholder: without an offset each poll would fail
        if assigned:
            log.info("partitions assigned", extra={"partitions": sorted(place.partition for place in assigned)})

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        partitions = sorted(place.partition for place in revoked)
        for partition in partitions:
            self.unclaimed.discard(partition)
            self.active.pop(partition, None)
        if partitions:
            log.info("partitions revoked", extra={"partitions": partitions})

    on_partitions_lost = on_partitions_revoked
