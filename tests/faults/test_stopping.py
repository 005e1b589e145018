"""Members that get SIGTERM at the worst moments end in time, with the exit code that docs/operating.md lists."""

import signal
import subprocess
from collections.abc import Iterator

import psycopg
import pytest
from cluster import Cluster, Process
from pausing import halting, prepare, until_halted
from repetitions import Round
from under_load import BRIEF_SESSION, under_load

from projector.postgres import migrations
from testbed.servers.start import Postgres, start_postgres
from testbed.workload import Mix

GRACE_SECONDS = 30
"""The time between SIGTERM and SIGKILL in Kubernetes, and in compose.yaml."""


def ended_in_time(member: Process) -> int:
    try:
        return member.process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"it does not end:\n{member.text()[-2000:]}") from None


def test_sigterm_under_load_ends_with_0_and_hands_over(scene: Cluster, chance: Round) -> None:
    scene.watch_positions()
    rng = chance.chances()
    with under_load(scene, Mix(seed=chance.seed), per_second=400):
        for _ in range(chance.repeats(2, 50)):
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


def test_second_sigterm_ends_at_once_with_143(scene: Cluster) -> None:
    prepare(scene, "in the write")
    member = scene.member(**BRIEF_SESSION, lock_timeout_ms="20000")
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
    """A Postgres of the test's own, with the schema."""
    with start_postgres(tmp_path_factory.mktemp("own"), own=True, options=["fsync=off"]) as server:
        with psycopg.connect(server.url) as conn:
            migrations.up(conn)
        scene.database_url = server.url
        yield server
        scene.end()


def test_sigterm_while_postgres_is_down_ends_with_0(scene: Cluster, server: Postgres) -> None:
    member = scene.member()
    member.says("partition claimed", times=3)
    server.stop("immediate")
    member.says("waiting for Postgres")
    assert ended_in_time(member.signal(signal.SIGTERM)) == 0


def test_sigterm_with_a_frozen_postgres_ends_in_time(scene: Cluster, server: Postgres) -> None:
    member = scene.member(**BRIEF_SESSION, batch_records="20", stop_within_seconds="2")
    member.says("partition claimed", times=3)
    server.pause()
    scene.play(Mix(delegations=60))
    assert ended_in_time(member.signal(signal.SIGTERM)) == 143
    member.says("shutdown timed out, exiting")
    server.resume()
    scene.member()
    scene.caught_up()
    scene.view_equals_log()
