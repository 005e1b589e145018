"""Compaction of a topic on a real broker, at a time that the test chooses."""

from collections.abc import Collection
from contextlib import closing

from cluster import wait_until
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

COMPACTED = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.001", "max.compaction.lag.ms": "1"}


def compact(bootstrap_servers: str, topic: str, partition: int, left: Collection[int]) -> None:
    """Make the topic a compacted one, and wait until only these offsets are left in a partition.

    Kafka compacts a segment once the next one has begun: see `segment.ms`.
    """
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap_servers)) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, COMPACTED)])
    wait_until(lambda: offsets(bootstrap_servers, topic, partition) == [*left], f"only {left} are left")


def offsets(bootstrap_servers: str, topic: str, partition: int) -> list[int]:
    """The offsets of the records that a partition has, as the library reads them."""
    place, found = TopicPartition(topic, partition), []
    with closing(KafkaConsumer(bootstrap_servers=bootstrap_servers)) as consumer:
        consumer.assign([place])
        consumer.seek_to_beginning(place)
        end = consumer.end_offsets([place])[place]
        while consumer.position(place) < end:
            found += [record.offset for records in consumer.poll(timeout_ms=500).values() for record in records]
    return found
