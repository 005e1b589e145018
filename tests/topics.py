"""Topics for tests: each has a name of its own, so that tests share one Kafka without meeting."""

import uuid
from collections.abc import Mapping

from kafka import KafkaAdminClient


def create_topic(
    bootstrap_servers: str, *, name: str | None = None, partitions: int = 3, config: Mapping[str, str] | None = None
) -> str:
    """A fresh topic that keeps records however old, ready to be written; returns its name."""
    name = name or f"activity-log-{uuid.uuid4().hex[:12]}"
    admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers)
    try:
        wanted = {"num_partitions": partitions, "configs": {"retention.ms": "-1", **(config or {})}}
        admin.create_topics({name: wanted}, wait_for_metadata=True)
    finally:
        admin.close()
    return name
