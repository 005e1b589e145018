"""A group that is never at rest: members come and go, share a name, and partitions are added, all under load."""

import signal

from cluster import Cluster, until
from kafka import KafkaAdminClient, KafkaConsumer
from repetitions import Round
from topics import create_topic

from testbed.workload import Mix


def test_a_second_member_takes_its_share_and_gives_it_back(scene: Cluster) -> None:
    scene.watch_positions()
    with scene.playing(Mix(delegations=400), per_second=1000):
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


def test_of_two_processes_with_one_name_each_record_is_written_by_one_though_both_are_fed(scene: Cluster) -> None:
    scene.watch_positions()
    with scene.playing(Mix(delegations=300), per_second=600):
        first = scene.member(group_instance_id="twin", batch_records="20")
        first.says("partition claimed", times=3)
        second = scene.member(group_instance_id="twin", batch_records="20")
        second.says("partition claimed", times=3)
        until(lambda: "fenced" in first.text() + second.text(), "one of them is refused")
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.nothing_twice()


def test_no_partition_stands_still_in_a_storm_of_members_that_come_and_go(scene: Cluster, chance: Round) -> None:
    scene.watch_positions()
    rng = chance.chances()
    scene.member()
    for storm in range(chance.repeats(2, 60)):
        with scene.playing(Mix(delegations=60, seed=chance.seed + storm), per_second=400):
            guest = scene.member(batch_records="20")
            guest.says("partition claimed")
            guest.signal(rng.choice([signal.SIGTERM, signal.SIGTERM, signal.SIGKILL]))
        scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.nothing_twice()


def test_rebalances_that_leave_a_member_what_it_had_cost_it_no_partition(scene: Cluster, chance: Round) -> None:
    scene.watch_positions()
    elsewhere = create_topic(scene.bootstrap_servers)
    member = scene.member()
    member.says("partition claimed", times=3)
    for guest in range(1, chance.repeats(4, 50) + 1):
        _come_and_go(scene, elsewhere)
        scene.play(Mix(delegations=5, seed=chance.seed + guest))
        scene.caught_up()
        member.says("partitions assigned", times=guest + 1)
    scene.view_equals_log()
    scene.nothing_twice()
    scene.each_ended_once()


def _come_and_go(scene: Cluster, topic: str) -> None:
    """A member of the group that wants another topic: everybody joins anew, nobody's partitions change."""
    guest = KafkaConsumer(topic, bootstrap_servers=scene.bootstrap_servers, group_id=f"group-{scene.topic}")

    def has_joined() -> bool:
        guest.poll(timeout_ms=100)
        return bool(guest.assignment())

    until(has_joined, "the guest has joined")
    guest.close()


def test_partitions_added_under_load_are_read_from_their_start(scene: Cluster) -> None:
    scene.watch_positions()
    scene.member(metadata_max_age_ms="1000").says("partition claimed", times=3)
    with scene.playing(Mix(delegations=300), per_second=1000):
        admin = KafkaAdminClient(bootstrap_servers=scene.bootstrap_servers)
        admin.create_partitions({scene.topic: 5})
        until(lambda: _partitions(admin, scene.topic) == 5, "five partitions")
        admin.close()
        scene.play(Mix(delegations=200, seed=8))
    scene.caught_up()
    assert scene.positions().keys() == {0, 1, 2, 3, 4}
    scene.view_equals_log()
    scene.nothing_twice()
    scene.each_ended_once()


def _partitions(admin: KafkaAdminClient, topic: str) -> int:
    return len(admin.describe_topics([topic])[0]["partitions"])
