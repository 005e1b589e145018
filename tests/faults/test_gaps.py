"""Logs that lost records, projected or not: the projector stops with the remedy and never starts over by itself."""

import signal
from pathlib import Path

import pytest
from cluster import Cluster, Member, wait_until
from kafka import KafkaAdminClient, TopicPartition
from proxied_kafka import QUICK_RESTART
from topics import create_topic

from testbed.servers.start import start_kafka
from testbed.workload import Mix

REMEDY = "projector rebuild --from activity-logs"


def project_all(cluster: Cluster) -> None:
    """Start a member, and stop it at the end of the log."""
    member = cluster.start_member()
    cluster.wait_until_caught_up()
    assert member.signal(signal.SIGTERM).exit_code() == 0


def stops_for_good(cluster: Cluster, member: Member, reason: str) -> None:
    """It ends with the exit code of a gap and names the remedy; so does the next one, and no position moves."""
    before = cluster.positions()
    ends_with_a_gap(member, reason)
    ends_with_a_gap(cluster.start_member(), reason)
    assert cluster.positions() == before


def ends_with_a_gap(member: Member, reason: str) -> None:
    assert member.exit_code() == 4
    assert reason in member.text()
    assert REMEDY in member.text()


def test_retention_past_the_position_stops_the_projector(cluster: Cluster) -> None:
    cluster.publish(Mix(delegations=60))
    project_all(cluster)
    cluster.publish(Mix(delegations=60, seed=8))
    _delete_records(cluster, {partition: end - 5 for partition, end in cluster.end_offsets().items()})
    stops_for_good(cluster, cluster.start_member(), "deleted by retention before")


def test_recreated_topic_stops_the_projector(cluster: Cluster) -> None:
    cluster.publish(Mix(delegations=30))
    project_all(cluster)
    admin = KafkaAdminClient(bootstrap_servers=cluster.bootstrap_servers)
    admin.delete_topics([cluster.topic])
    wait_until(lambda: cluster.topic not in admin.list_topics(), "the topic is gone")
    admin.close()
    create_topic(cluster.bootstrap_servers, name=cluster.topic)
    cluster.publish(Mix(delegations=120))  # a longer log, so that the offsets alone look right
    stops_for_good(cluster, cluster.start_member(), "created again")


def test_log_truncated_under_a_member_stops_it(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A broker that lost its last writes in a crash comes back with a shorter log."""
    folder = tmp_path_factory.mktemp("truncated")
    with start_kafka(folder, own=True, options=QUICK_RESTART) as broker:
        if not any(folder.glob("kafka-*/data")):
            pytest.skip("a log can be truncated only where the broker is a process of this machine (Java and Maven)")
        cluster.bootstrap_servers, cluster.topic = broker.bootstrap_servers, create_topic(broker.bootstrap_servers)
        member = cluster.start_member()
        cluster.publish(Mix(delegations=60))
        cluster.wait_until_caught_up()
        broker.kill()
        for log in folder.glob(f"kafka-*/data/{cluster.topic}-*/*.log"):
            _halve(log)
        broker.start()
        stops_for_good(cluster, member, "truncated")
        cluster.end()


def _halve(log: Path) -> None:
    """Keep the first half of the file; the broker drops the batch that is cut."""
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size // 2)


def _delete_records(cluster: Cluster, before: dict[int, int]) -> None:
    """Do at once what retention does in time: delete the records before an offset, per partition."""
    admin = KafkaAdminClient(bootstrap_servers=cluster.bootstrap_servers)
    admin.delete_records({TopicPartition(cluster.topic, partition): offset for partition, offset in before.items()})
    admin.close()
