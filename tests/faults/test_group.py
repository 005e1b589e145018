"""A group that changes all the time: members join, leave and share a name, and partitions are added, under load."""

import signal

import psycopg
from cluster import Cluster, Member, wait_until
from kafka import KafkaAdminClient, KafkaConsumer
from repetitions import Repetition
from topics import create_topic
from under_load import BRIEF_SESSION, under_load

from testbed.workload import Mix


def test_second_member_takes_its_share_and_returns_it(cluster: Cluster) -> None:
    cluster.watch_positions()
    with under_load(cluster, per_second=800):
        first = cluster.start_member()
        first.wait_for_log("partition claimed", times=3)
        second = cluster.start_member()
        second.wait_for_log("partition claimed")
        second.signal(signal.SIGTERM)
        assert second.exit_code() == 0
        # A member that is slow to join again has missed the group with two: how often it was assigned is no fact.
        wait_until(lambda: owned_by(cluster, first) == 3, "the first one owns all again")
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    cluster.assert_projected_once()
    cluster.assert_outcomes_counted_once()


def owned_by(cluster: Cluster, member: Member) -> int:
    """How many positions this member has claimed."""
    with psycopg.connect(cluster.database_url) as conn:
        rows = conn.execute(
            "SELECT FROM projector.positions WHERE topic = %s AND split_part(member, '/', 2) = %s",
            [cluster.topic, str(member.process.pid)],
        )
        return rows.rowcount


def test_shared_instance_id_writes_each_record_once(cluster: Cluster) -> None:
    """The group feeds both members; the position's row refuses the batches of one."""
    cluster.watch_positions()
    with under_load(cluster, per_second=600):
        first = cluster.start_member(group_instance_id="twin", batch_records="20")
        first.wait_for_log("partition claimed", times=3)
        second = cluster.start_member(group_instance_id="twin", batch_records="20")
        second.wait_for_log("partition claimed", times=3)
        wait_until(lambda: "fenced" in first.text() + second.text(), "one of them is refused")
        cluster.wait_until_more_projected_than(cluster.projected_records() + 300)
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    cluster.assert_nothing_dropped()
    cluster.assert_projected_once()


def test_no_partition_stalls_while_members_come_and_go(cluster: Cluster, repetition: Repetition) -> None:
    cluster.watch_positions()
    rng = repetition.rng()
    cluster.start_member(**BRIEF_SESSION)
    for number in range(repetition.repeats(2, 60)):
        with under_load(cluster, Mix(seed=repetition.seed + number), per_second=400):
            guest = cluster.start_member(**BRIEF_SESSION, batch_records="20")
            guest.wait_for_log("partition claimed")
            guest.signal(rng.choice([signal.SIGTERM, signal.SIGTERM, signal.SIGKILL]))
        cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    cluster.assert_nothing_dropped()
    cluster.assert_projected_once()


def test_rebalances_without_changes_stall_no_partition(cluster: Cluster, repetition: Repetition) -> None:
    cluster.watch_positions()
    elsewhere = create_topic(cluster.bootstrap_servers)
    member = cluster.start_member(heartbeat_interval_ms="200")
    member.wait_for_log("partition claimed", times=3)
    for number in range(1, repetition.repeats(3, 50) + 1):
        _come_and_go(cluster, elsewhere)
        cluster.publish(Mix(delegations=5, seed=repetition.seed + number))
        cluster.wait_until_caught_up()
        member.wait_for_log("partitions assigned", times=number + 1)
    cluster.assert_view_equals_log()
    cluster.assert_projected_once()
    cluster.assert_outcomes_counted_once()


def _come_and_go(cluster: Cluster, topic: str) -> None:
    """Join the group for another topic and leave it: every member rejoins, and keeps the partitions that it had."""
    guest = KafkaConsumer(
        topic,
        bootstrap_servers=cluster.bootstrap_servers,
        group_id=f"group-{cluster.topic}",
        heartbeat_interval_ms=200,
    )

    def has_joined() -> bool:
        guest.poll(timeout_ms=100)
        return bool(guest.assignment())

    wait_until(has_joined, "the guest has joined")
    guest.close()


def test_added_partitions_are_read_from_their_start(cluster: Cluster) -> None:
    cluster.watch_positions()
    cluster.start_member(metadata_max_age_ms="1000").wait_for_log("partition claimed", times=3)
    with under_load(cluster, per_second=800):
        admin = KafkaAdminClient(bootstrap_servers=cluster.bootstrap_servers)
        admin.create_partitions({cluster.topic: 5})
        wait_until(lambda: _partitions(admin, cluster.topic) == 5, "five partitions")
        admin.close()
        cluster.publish(Mix(delegations=60, seed=8))
    cluster.wait_until_caught_up()
    assert cluster.positions().keys() == {0, 1, 2, 3, 4}
    cluster.assert_view_equals_log()
    cluster.assert_projected_once()
    cluster.assert_outcomes_counted_once()


def _partitions(admin: KafkaAdminClient, topic: str) -> int:
    return len(admin.describe_topics([topic])[0]["partitions"])
