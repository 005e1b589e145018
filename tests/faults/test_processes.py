"""Members that are killed or frozen under load: nothing is lost, and nothing is projected twice."""

import signal

import pytest
from cluster import Cluster, wait_until
from pausing import POINTS, count_sessions, install_pause, paused_at, wait_until_paused, wait_until_sessions_end
from repetitions import Repetition
from under_load import BRIEF_SESSION, under_load

from testbed.workload import Mix


def test_repeated_kills_lose_nothing_and_repeat_nothing(cluster: Cluster, repetition: Repetition) -> None:
    cluster.watch_positions()
    rng = repetition.rng()
    with under_load(cluster, Mix(seed=repetition.seed), per_second=500):
        for _ in range(repetition.repeats(3, 100)):
            before = cluster.projected_records()
            member = cluster.start_member(**BRIEF_SESSION, batch_records="100")
            cluster.wait_until_more_projected_than(before + rng.randrange(400))
            member.kill()
    cluster.start_member(**BRIEF_SESSION, batch_records="100")
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    cluster.assert_nothing_dropped()
    cluster.assert_projected_once()


@pytest.mark.parametrize("point", POINTS)
def test_batch_of_a_killed_member_is_committed_once(cluster: Cluster, point: str) -> None:
    cluster.watch_positions()
    install_pause(cluster, point)
    member = cluster.start_member(**BRIEF_SESSION, lock_timeout_ms="20000")
    member.wait_for_log("partition claimed", times=3)
    with paused_at(cluster, point):
        cluster.publish(Mix(delegations=60))
        wait_until_paused(cluster)
        before = cluster.projected_records()  # not always 0: a batch without a delegation is not paused in the write
        member.kill()
        assert cluster.projected_records() == before
    wait_until_sessions_end(cluster)
    assert cluster.projected_records() > before  # the server finishes the call that it has received
    assert sum(cluster.committed_offsets().values()) <= before  # the offsets in the group did not move
    cluster.start_member()
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    cluster.assert_nothing_dropped()
    cluster.assert_projected_once()


def test_zombie_is_fenced_and_continues_beside_its_successor(cluster: Cluster) -> None:
    cluster.watch_positions()
    with under_load(cluster, per_second=800):
        zombie = cluster.start_member(**BRIEF_SESSION, batch_records="20")
        zombie.wait_for_log("partition claimed", times=3)
        cluster.wait_until_more_projected_than(200)
        zombie.signal(signal.SIGSTOP)
        successor = cluster.start_member()
        successor.wait_for_log("partition claimed", times=3)
        cluster.wait_until_more_projected_than(cluster.projected_records())
        zombie.signal(signal.SIGCONT)
        zombie.wait_for_log("partition claimed", times=4)
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    cluster.assert_projected_once()


def test_member_frozen_in_a_batch_blocks_no_successor(cluster: Cluster) -> None:
    cluster.watch_positions()
    cluster.publish(Mix(delegations=60))
    install_pause(cluster, "in the write")
    with paused_at(cluster, "in the write"):
        frozen = cluster.start_member(**BRIEF_SESSION, lock_timeout_ms="5000")
        wait_until_paused(cluster)
        frozen.signal(signal.SIGSTOP)
        before = cluster.projected_records()
    cluster.wait_until_more_projected_than(before)  # the server commits its batch without it, and releases its locks
    cluster.start_member()
    cluster.publish(Mix(delegations=30, seed=8))
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    frozen.signal(signal.SIGCONT)
    frozen.wait_for_log("partition claimed", times=4)
    cluster.assert_view_equals_log()
    cluster.assert_projected_once()


def test_member_frozen_in_a_claim_blocks_only_briefly(cluster: Cluster) -> None:
    cluster.publish(Mix(delegations=60))
    install_pause(cluster, "in the claim")
    with paused_at(cluster, "in the claim"):
        frozen = cluster.start_member(**BRIEF_SESSION, lock_timeout_ms="5000")
        wait_until_paused(cluster)
        frozen.signal(signal.SIGSTOP)
    wait_until(lambda: not count_sessions(cluster), "Postgres has ended its session, and its claim is not committed")
    cluster.start_member()
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    frozen.signal(signal.SIGCONT)
    frozen.wait_for_log("waiting for Postgres")
    frozen.wait_for_log("Postgres is back")
    cluster.assert_view_equals_log()
