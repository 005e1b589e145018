"""A topic read from its start, by nobody's member: what it holds so far."""

import json
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from kafka import KafkaConsumer, TopicPartition

from testbed.recording import AcknowledgedRecord


class TopicLog:
    """`records` are in the order of each partition."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self.records: list[AcknowledgedRecord] = []
        self._consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers, enable_auto_commit=False)
        places = [TopicPartition(topic, number) for number in self._consumer.partitions_for_topic(topic)]
        self._consumer.assign(places)
        self._consumer.seek_to_beginning(*places)

    def read_on(self) -> Self:
        for found in self._consumer.poll(timeout_ms=100).values():
            self.records += [
                AcknowledgedRecord(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value) for r in found
            ]
        return self

    def holds(self, row_ids: Iterable[str]) -> bool:
        """Read on; whether there is a change of each of these activity rows by now."""
        return set(row_ids) <= {row_id(change) for change in changes(self.read_on().records)}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()


def changes(records: Iterable[AcknowledgedRecord]) -> list[dict[str, Any]]:
    """The change events, tombstones left out."""
    return [json.loads(record.value) for record in records if record.value is not None]


def row_id(change: dict[str, Any]) -> str:
    """Of a deleted row only its former state is told."""
    return str((change["after"] or change["before"])["id"])


def ops(log: TopicLog) -> Counter[str]:
    return Counter(change["op"] for change in changes(log.records))


def change_id(change: dict[str, Any]) -> tuple[str, str, int]:
    """Equal for two records only where one tells again what the other told."""
    return row_id(change), change["op"], change["source"]["lsn"]
