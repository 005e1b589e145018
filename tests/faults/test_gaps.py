"""Logs that lose what was projected, or was not yet: the projector stops with the remedy, and never starts over."""

from pathlib import Path

import pytest
from cluster import Cluster, Process, until
from kafka import KafkaAdminClient, TopicPartition
from topics import create_topic

from testbed.servers.start import start_kafka
from testbed.workload import Mix

REMEDY = "projector rebuild --from activity-logs"


def stops_for_good(scene: Cluster, member: Process, reason: str) -> None:
    """With the exit code of a gap and the remedy; and started again it does the same, from where it was."""
    before = scene.positions()
    for each in (member, scene.member()):
        assert each.exit_code() == 4
        assert reason in each.text()
        assert REMEDY in each.text()
    assert scene.positions() == before


def test_retention_that_passed_the_position_stops_the_projector_with_the_remedy(scene: Cluster) -> None:
    scene.play(Mix(delegations=100))
    scene.member()
    scene.caught_up()
    scene.end()
    scene.play(Mix(delegations=100, seed=8))
    _delete_records(scene, {partition: end - 5 for partition, end in scene.ends().items()})
    stops_for_good(scene, scene.member(), "deleted by retention before")


def test_a_topic_made_anew_under_the_old_name_stops_the_projector(scene: Cluster) -> None:
    scene.play(Mix(delegations=50))
    scene.member()
    scene.caught_up()
    scene.end()
    admin = KafkaAdminClient(bootstrap_servers=scene.bootstrap_servers)
    admin.delete_topics([scene.topic])
    until(lambda: scene.topic not in admin.list_topics(), "the topic is gone")
    admin.close()
    create_topic(scene.bootstrap_servers, name=scene.topic)
    scene.play(Mix(delegations=200))  # longer than before: offsets alone tell nothing
    stops_for_good(scene, scene.member(), "created again")


def test_a_log_that_was_truncated_under_a_running_member_stops_it(
    scene: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What a broker does that lost its last writes in a crash: it comes back with a shorter log."""
    folder = tmp_path_factory.mktemp("truncated")
    with start_kafka(folder, own=True) as broker:
        if not any(folder.glob("kafka-*/data")):
            pytest.skip("a log can be truncated only where the broker is a process of this machine (Java and Maven)")
        scene.bootstrap_servers, scene.topic = broker.bootstrap_servers, create_topic(broker.bootstrap_servers)
        member = scene.member()
        scene.play(Mix(delegations=100))
        scene.caught_up()
        broker.kill()
        for log in folder.glob(f"kafka-*/data/{scene.topic}-*/*.log"):
            _halve(log)
        broker.start()
        stops_for_good(scene, member, "truncated")
        scene.end()


def _halve(log: Path) -> None:
    """Keep the whole batches of the first half; the broker drops the one that is cut."""
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size // 2)


def _delete_records(scene: Cluster, before: dict[int, int]) -> None:
    """What retention does, at once."""
    admin = KafkaAdminClient(bootstrap_servers=scene.bootstrap_servers)
    admin.delete_records({TopicPartition(scene.topic, partition): offset for partition, offset in before.items()})
    admin.close()
