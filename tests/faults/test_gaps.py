"""Logs that lost records, projected or not: the projector stops with the remedy and never starts over by itself."""

import signal
from pathlib import Path

import pytest
from cluster import Cluster, Process, until
from kafka import KafkaAdminClient, TopicPartition
from proxied_kafka import QUICK_RESTART
from topics import create_topic

from testbed.servers.start import start_kafka
from testbed.workload import Mix

REMEDY = "projector rebuild --from activity-logs"


def project_all(scene: Cluster) -> None:
    """Start a member, and stop it at the end of the log."""
    member = scene.member()
    scene.caught_up()
    assert member.signal(signal.SIGTERM).exit_code() == 0


def stops_for_good(scene: Cluster, member: Process, reason: str) -> None:
    """It ends with the exit code of a gap and names the remedy; so does the next one, and no position moves."""
    before = scene.positions()
    ends_with_a_gap(member, reason)
    ends_with_a_gap(scene.member(), reason)
    assert scene.positions() == before


def ends_with_a_gap(member: Process, reason: str) -> None:
    assert member.exit_code() == 4
    assert reason in member.text()
    assert REMEDY in member.text()


def test_retention_past_the_position_stops_the_projector(scene: Cluster) -> None:
    scene.play(Mix(delegations=60))
    project_all(scene)
    scene.play(Mix(delegations=60, seed=8))
    _delete_records(scene, {partition: end - 5 for partition, end in scene.ends().items()})
    stops_for_good(scene, scene.member(), "deleted by retention before")


def test_recreated_topic_stops_the_projector(scene: Cluster) -> None:
    scene.play(Mix(delegations=30))
    project_all(scene)
    admin = KafkaAdminClient(bootstrap_servers=scene.bootstrap_servers)
    admin.delete_topics([scene.topic])
    until(lambda: scene.topic not in admin.list_topics(), "the topic is gone")
    admin.close()
    create_topic(scene.bootstrap_servers, name=scene.topic)
    scene.play(Mix(delegations=120))  # a longer log, so that the offsets alone look right
    stops_for_good(scene, scene.member(), "created again")


def test_log_truncated_under_a_member_stops_it(scene: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A broker that lost its last writes in a crash comes back with a shorter log."""
    folder = tmp_path_factory.mktemp("truncated")
    with start_kafka(folder, own=True, options=QUICK_RESTART) as broker:
        if not any(folder.glob("kafka-*/data")):
            pytest.skip("a log can be truncated only where the broker is a process of this machine (Java and Maven)")
        scene.bootstrap_servers, scene.topic = broker.bootstrap_servers, create_topic(broker.bootstrap_servers)
        member = scene.member()
        scene.play(Mix(delegations=60))
        scene.caught_up()
        broker.kill()
        for log in folder.glob(f"kafka-*/data/{scene.topic}-*/*.log"):
            _halve(log)
        broker.start()
        stops_for_good(scene, member, "truncated")
        scene.end()


def _halve(log: Path) -> None:
    """Keep the first half of the file; the broker drops the batch that is cut."""
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size // 2)


def _delete_records(scene: Cluster, before: dict[int, int]) -> None:
    """Do at once what retention does in time: delete the records before an offset, per partition."""
    admin = KafkaAdminClient(bootstrap_servers=scene.bootstrap_servers)
    admin.delete_records({TopicPartition(scene.topic, partition): offset for partition, offset in before.items()})
    admin.close()
