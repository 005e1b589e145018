"""A user who may read a topic, and may not describe its configs: commands say so once, and work."""

import json
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cluster import Cluster, wait_until
from commands import run_projector
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from rows import delegate
from topics import create_topic

from testbed.servers.start import start_kafka

UNKNOWN = "the topic's cleanup.policy is unknown"
AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}


@pytest.fixture
def restricted(database_url: str, tmp_path: Path) -> Iterator[Cluster]:
    """A topic of one request, on a broker that refuses to describe the topic's configs."""
    with start_kafka(tmp_path, own=True, options=AUTHORIZER) as broker:
        topic = create_topic(broker.bootstrap_servers, partitions=1)
        with closing(KafkaProducer(bootstrap_servers=broker.bootstrap_servers)) as producer:
            producer.send(topic, json.dumps(delegate(0)).encode()).get(10)
        with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)) as admin:
            pattern = ResourcePattern(ResourceType.TOPIC, topic)
            rules = {
                ACLOperation.ALL: ACLPermissionType.ALLOW,
                ACLOperation.DESCRIBE_CONFIGS: ACLPermissionType.DENY,
            }
            admin.create_acls([ACL("User:ANONYMOUS", "*", *rule, pattern) for rule in rules.items()])
        cluster = Cluster(database_url, broker.bootstrap_servers, topic, tmp_path)
        yield cluster
        cluster.end()


def test_unknown_policy_is_named_once_and_stops_nothing(restricted: Cluster) -> None:
    member = restricted.start_member()
    wait_until(lambda: restricted.positions() == {0: 1}, "the request is projected")
    assert member.signal(signal.SIGTERM).exit_code() == 0
    (line,) = [line for line in member.lines() if line["message"] == UNKNOWN]
    assert line["level"] == "info"
    assert line["topic"] == restricted.topic
    settings = {name: getattr(restricted, name) for name in ("database_url", "bootstrap_servers", "topic")}
    verified, status = (run_projector(command, "--json", **settings) for command in ("verify", "status"))
    assert (verified.code, verified.json()["drift"], verified.err.count(UNKNOWN)) == (0, 0, 1)
    assert (status.code, status.json()["cleanup_policy"]) == (0, None)
