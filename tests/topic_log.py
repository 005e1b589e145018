"""Reads a topic from its beginning, without a group."""

import json
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from kafka import KafkaConsumer, TopicPartition

from testbed.recording import AcknowledgedRecord


class TopicLog:
    """`records` has all records read so far, in order per partition."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self.records: list[AcknowledgedRecord] = []
        self._consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers, enable_auto_commit=False)
        places = [TopicPartition(topic, number) for number in self._consumer.partitions_for_topic(topic)]
        self._consumer.assign(places)
        self._consumer.seek_to_beginning(*places)
        self._places = places

    def read_all(self) -> Self:
        """Read up to where the topic ends now."""
        ends = self._consumer.end_offsets(self._places)
        while any(self._consumer.position(place) < end for place, end in ends.items()):
            self.read_on()
        return self

    def read_on(self) -> Self:
        """Read what is new."""
        for polled in self._consumer.poll(timeout_ms=100).values():
            self.records += [
                AcknowledgedRecord(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value) for r in polled
            ]
        return self

    def has_changes_of(self, row_ids: Iterable[str]) -> bool:
        """Read what is new; returns whether there is a change of each of these activity rows."""
        return set(row_ids) <= {row_id(change) for change in changes(self.read_on().records)}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()


def changes(records: Iterable[AcknowledgedRecord]) -> list[dict[str, Any]]:
    """Return the change events, without tombstones."""
    return [json.loads(record.value) for record in records if record.value is not None]


def row_id(change: dict[str, Any]) -> str:
    """Return the id of the changed row; a delete has only the state before."""
    return str((change["after"] or change["before"])["id"])


def ops(log: TopicLog) -> Counter[str]:
    return Counter(change["op"] for change in changes(log.records))


def change_id(change: dict[str, Any]) -> tuple[str, str, int]:
    """Return a key that is equal only for repetitions of the same change."""
    return row_id(change), change["op"], change["source"]["lsn"]
