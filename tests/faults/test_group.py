"""A group that changes all the time: members join, leave and share a name, and partitions are added, under load."""

import signal

from cluster import Cluster, until
from kafka import KafkaAdminClient, KafkaConsumer
from repetitions import Round
from topics import create_topic
from under_load import BRIEF_SESSION, under_load

from testbed.workload import Mix


def test_second_member_takes_its_share_and_returns_it(scene: Cluster) -> None:
    scene.watch_positions()
    with under_load(scene, per_second=800):
        first = scene.member()
        first.says("partition claimed", times=3)
        second = scene.member()
        second.says("partition claimed")
        second.signal(signal.SIGTERM)
        assert second.exit_code() == 0
        first.says("partitions assigned", times=3)
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_twice()
    scene.each_ended_once()


def test_shared_instance_id_writes_each_record_once(scene: Cluster) -> None:
    """The group feeds both members; the position's row refuses the batches of one."""
    scene.watch_positions()
    with under_load(scene, per_second=600):
        first = scene.member(group_instance_id="twin", batch_records="20")
        first.says("partition claimed", times=3)
        second = scene.member(group_instance_id="twin", batch_records="20")
        second.says("partition claimed", times=3)
        until(lambda: "fenced" in first.text() + second.text(), "one of them is refused")
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.nothing_twice()


def test_no_partition_stalls_while_members_come_and_go(scene: Cluster, chance: Round) -> None:
    scene.watch_positions()
    rng = chance.chances()
    scene.member(**BRIEF_SESSION)
    for number in range(chance.repeats(2, 60)):
        with under_load(scene, Mix(seed=chance.seed + number), per_second=400):
            guest = scene.member(**BRIEF_SESSION, batch_records="20")
            guest.says("partition claimed")
            guest.signal(rng.choice([signal.SIGTERM, signal.SIGTERM, signal.SIGKILL]))
        scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.nothing_twice()


def test_rebalances_without_changes_stall_no_partition(scene: Cluster, chance: Round) -> None:
    scene.watch_positions()
    elsewhere = create_topic(scene.bootstrap_servers)
    member = scene.member(heartbeat_interval_ms="200")
    member.says("partition claimed", times=3)
    for number in range(1, chance.repeats(3, 50) + 1):
        _come_and_go(scene, elsewhere)
        scene.play(Mix(delegations=5, seed=chance.seed + number))
        scene.caught_up()
        member.says("partitions assigned", times=number + 1)
    scene.view_equals_log()
    scene.nothing_twice()
    scene.each_ended_once()


def _come_and_go(scene: Cluster, topic: str) -> None:
    """Join the group for another topic and leave it: every member rejoins, and keeps the partitions that it had."""
    guest = KafkaConsumer(
        topic,
        bootstrap_servers=scene.bootstrap_servers,
        group_id=f"group-{scene.topic}",
        heartbeat_interval_ms=200,
    )

    def has_joined() -> bool:
        guest.poll(timeout_ms=100)
        return bool(guest.assignment())

    until(has_joined, "the guest has joined")
    guest.close()


def test_added_partitions_are_read_from_their_start(scene: Cluster) -> None:
    scene.watch_positions()
    scene.member(metadata_max_age_ms="1000").says("partition claimed", times=3)
    with under_load(scene, per_second=800):
        admin = KafkaAdminClient(bootstrap_servers=scene.bootstrap_servers)
        admin.create_partitions({scene.topic: 5})
        until(lambda: _partitions(admin, scene.topic) == 5, "five partitions")
        admin.close()
        scene.play(Mix(delegations=60, seed=8))
    scene.caught_up()
    assert scene.positions().keys() == {0, 1, 2, 3, 4}
    scene.view_equals_log()
    scene.nothing_twice()
    scene.each_ended_once()


def _partitions(admin: KafkaAdminClient, topic: str) -> int:
    return len(admin.describe_topics([topic])[0]["partitions"])
