"""Topics for tests: each has its own name, so that tests can share one Kafka."""

import uuid
from collections.abc import Mapping

from kafka import KafkaAdminClient


def create_topic(
    bootstrap_servers: str, *, name: str | None = None, partitions: int = 3, config: Mapping[str, str] | None = None
) -> str:
    """Create a topic that keeps records of any age, and wait until it is writable; returns its name."""
    name = name or f"activity-log-{uuid.uuid4().hex[:12]}"
    admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        new_topic = {"num_partitions": partitions, "configs": {"retention.ms": "-1", **(config or {})}}
        admin.create_topics({name: new_topic}, wait_for_metadata=True)
    finally:
        admin.close()
    return name
