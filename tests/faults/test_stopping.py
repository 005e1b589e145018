"""Members that are told to stop in the worst moments: in time, with the exit code of the table in docs/operating.md."""

import signal
import subprocess
from collections.abc import Iterator

import psycopg
import pytest
from cluster import Cluster, Process
from pausing import halting, prepare, until_halted
from repetitions import Round

from projector.postgres import migrations
from testbed.servers.start import Postgres, start_postgres
from testbed.workload import Mix

GRACE_SECONDS = 30
"""What Kubernetes gives a container, and compose.yaml ours, before it kills."""


def ended_in_time(member: Process) -> int:
    try:
        return member.process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"it does not end:\n{member.text()[-2000:]}") from None


def test_members_that_are_stopped_under_load_end_with_0_and_hand_over(scene: Cluster, chance: Round) -> None:
    scene.watch_positions()
    rng, times = chance.chances(), chance.repeats(2, 50)
    with scene.playing(Mix(delegations=100 * times, seed=chance.seed), per_second=400):
        for _ in range(times):
            before = scene.projected()
            member = scene.member(batch_records="50")
            scene.projects_more_than(before + rng.randrange(200))
            assert ended_in_time(member.signal(signal.SIGTERM)) == 0
    scene.member()
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.nothing_twice()
    scene.each_ended_once()


def test_a_member_that_is_told_twice_ends_at_once_with_143_and_loses_nothing(scene: Cluster) -> None:
    prepare(scene, "in the write")
    member = scene.member(lock_timeout_ms="20000")
    member.says("partition claimed", times=3)
    with halting(scene, "in the write"):
        scene.play(Mix(delegations=60))
        until_halted(scene)
        member.signal(signal.SIGTERM).says("stopping")
        assert ended_in_time(member.signal(signal.SIGTERM)) == 143
    scene.member()
    scene.caught_up()
    scene.view_equals_log()


@pytest.fixture
def server(scene: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with start_postgres(tmp_path_factory.mktemp("own"), own=True) as server:
        with psycopg.connect(server.url) as conn:
            migrations.up(conn)
        scene.database_url = server.url
        yield server
        scene.end()


def test_a_member_that_waits_for_postgres_stops_with_0(scene: Cluster, server: Postgres) -> None:
    member = scene.member()
    member.says("partition claimed", times=3)
    server.stop("immediate")
    member.says("waiting for Postgres")
    assert ended_in_time(member.signal(signal.SIGTERM)) == 0


def test_a_member_that_a_frozen_postgres_does_not_answer_stops_within_the_grace_period(
    scene: Cluster, server: Postgres
) -> None:
    member = scene.member(batch_records="20", stop_within_seconds="4")
    member.says("partition claimed", times=3)
    server.pause()
    scene.play(Mix(delegations=60))
    assert ended_in_time(member.signal(signal.SIGTERM)) == 143
    member.says("shutdown timed out, exiting")
    server.resume()
    scene.member()
    scene.caught_up()
    scene.view_equals_log()
