"""Members that get SIGTERM at the worst moments end in time, with the exit code that docs/commands.md lists."""

import signal
import subprocess

from cluster import Cluster, Member
from pausing import install_pause, paused_at, wait_until_paused
from repetitions import Repetition
from under_load import BRIEF_SESSION, under_load

from testbed.servers.start import Postgres
from testbed.workload import Mix

GRACE_SECONDS = 30
"""The time between SIGTERM and SIGKILL in Kubernetes, and in compose.yaml."""


def ended_in_time(member: Member) -> int:
    try:
        return member.process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"it does not end:\n{member.text()[-2000:]}") from None


def test_sigterm_under_load_ends_with_0_and_hands_over(cluster: Cluster, repetition: Repetition) -> None:
    cluster.watch_positions()
    rng = repetition.rng()
    with under_load(cluster, Mix(seed=repetition.seed), per_second=400):
        for _ in range(repetition.repeats(2, 50)):
            before = cluster.projected_records()
            member = cluster.start_member(batch_records="50")
            cluster.wait_until_more_projected_than(before + rng.randrange(200))
            assert ended_in_time(member.signal(signal.SIGTERM)) == 0
    cluster.start_member()
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    cluster.assert_nothing_dropped()
    cluster.assert_projected_once()
    cluster.assert_outcomes_counted_once()


def test_second_sigterm_ends_at_once_with_143(cluster: Cluster) -> None:
    install_pause(cluster, "in the write")
    member = cluster.start_member(**BRIEF_SESSION, lock_timeout_ms="20000")
    member.wait_for_log("partition claimed", times=3)
    with paused_at(cluster, "in the write"):
        cluster.publish(Mix(delegations=60))
        wait_until_paused(cluster)
        member.signal(signal.SIGTERM).wait_for_log("stopping")
        assert ended_in_time(member.signal(signal.SIGTERM)) == 143
    cluster.start_member()
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()


def test_sigterm_while_postgres_is_down_ends_with_0(cluster: Cluster, server: Postgres) -> None:
    member = cluster.start_member()
    member.wait_for_log("partition claimed", times=3)
    server.stop("immediate")
    member.wait_for_log("waiting for Postgres")
    assert ended_in_time(member.signal(signal.SIGTERM)) == 0


def test_sigterm_with_a_frozen_postgres_ends_in_time(cluster: Cluster, server: Postgres) -> None:
    member = cluster.start_member(**BRIEF_SESSION, batch_records="20", stop_within_seconds="2")
    member.wait_for_log("partition claimed", times=3)
    server.pause()
    cluster.publish(Mix(delegations=60))
    assert ended_in_time(member.signal(signal.SIGTERM)) == 143
    member.wait_for_log("shutdown timed out, exiting")
    server.resume()
    cluster.start_member()
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
