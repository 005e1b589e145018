"""A look at the log from outside of the group: what it holds, and what of it waits behind the positions."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from kafka import TopicPartition

from projector.broker import CLOSE_MS, SourceSettings, Span, arguments, consumer, knock, no_topic, reactions, spans
from projector.errors import BrokerAway

LOOK_SECONDS = 2.0
_POLL_MS = 100


class Unread(NamedTuple):
    """What a partition's log holds, and the timestamp in ms of the first record behind a position, where one is."""

    span: Span
    first_timestamp: int | None


def unread(settings: SourceSettings, positions: Mapping[int, int]) -> dict[int, Unread]:
    """What each partition's log holds and what of it waits behind these positions; where there is none, all of it.

    Joins no group. Raises BrokerAway where Kafka or the topic is not there, Misconfigured where we are turned away.
    """
    with _onlooker(settings) as client:
        held = spans(client, settings.topic, client.partitions_for_topic(settings.topic))
        starts = {partition: max(positions.get(partition, 0), span.beginning) for partition, span in held.items()}
        behind = {partition: start for partition, start in starts.items() if start < held[partition].end}
        first = _first_timestamps(client, settings.topic, behind)
        return {partition: Unread(span, first.get(partition)) for partition, span in held.items()}


def _first_timestamps(client: Any, topic: str, offsets: Mapping[int, int]) -> dict[int, int]:
    """Partition → timestamp of the first record at this offset or behind it, if it comes within two seconds."""
    found: dict[int, int] = {}
    client.assign([TopicPartition(topic, partition) for partition in offsets])
    for partition, offset in offsets.items():
        client.seek(TopicPartition(topic, partition), offset)
    until = time.monotonic() + LOOK_SECONDS
    while len(found) < len(offsets) and time.monotonic() < until:
        for place, records in client.poll(timeout_ms=_POLL_MS).items():
            found.setdefault(place.partition, records[0].timestamp)
            client.pause(place)
    return found


@contextmanager
def _onlooker(settings: SourceSettings) -> Iterator[Any]:
    """A consumer without a group; raises BrokerAway where the topic is not there."""
    knock(settings.bootstrap_servers)
    alone = {"group_id": None, "group_instance_id": None}
    little = {"max_partition_fetch_bytes": 1024, "fetch_max_bytes": 64 * 1024}
    with reactions():
        client = consumer({**arguments(settings), **alone, **little})
        try:
            if not client.partitions_for_topic(settings.topic):
                raise BrokerAway(no_topic(settings.topic))
            yield client
        finally:
            client.close(autocommit=False, timeout_ms=CLOSE_MS)
