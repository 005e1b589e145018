"""Members that are killed or frozen under load: nothing is lost, and nothing is projected twice."""

import signal

import pytest
from cluster import Cluster, until
from pausing import POINTS, halting, prepare, sessions, until_gone, until_halted
from repetitions import Round
from under_load import BRIEF_SESSION, under_load

from testbed.workload import Mix


def test_repeated_kills_lose_nothing_and_repeat_nothing(scene: Cluster, chance: Round) -> None:
    scene.watch_positions()
    rng = chance.chances()
    with under_load(scene, Mix(seed=chance.seed), per_second=500):
        for _ in range(chance.repeats(3, 100)):
            before = scene.projected()
            member = scene.member(**BRIEF_SESSION, batch_records="100")
            scene.projects_more_than(before + rng.randrange(400))
            member.kill()
    scene.member(**BRIEF_SESSION, batch_records="100")
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.nothing_twice()


@pytest.mark.parametrize("point", POINTS)
def test_batch_of_a_killed_member_is_committed_once(scene: Cluster, point: str) -> None:
    scene.watch_positions()
    prepare(scene, point)
    member = scene.member(**BRIEF_SESSION, lock_timeout_ms="20000")
    member.says("partition claimed", times=3)
    with halting(scene, point):
        scene.play(Mix(delegations=60))
        until_halted(scene)
        before = scene.projected()  # not always 0: a batch without a delegation is not halted in the write
        member.kill()
        assert scene.projected() == before
    until_gone(scene)
    assert scene.projected() > before  # the server has received the whole call, and finishes it without a client
    assert sum(scene.committed().values()) <= before  # the offsets in the group did not move
    scene.member()
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.nothing_twice()


def test_zombie_is_fenced_and_continues_beside_its_successor(scene: Cluster) -> None:
    scene.watch_positions()
    with under_load(scene, per_second=800):
        zombie = scene.member(**BRIEF_SESSION, batch_records="20")
        zombie.says("partition claimed", times=3)
        scene.projects_more_than(200)
        zombie.signal(signal.SIGSTOP)
        successor = scene.member()
        successor.says("partition claimed", times=3)
        scene.projects_more_than(scene.projected())
        zombie.signal(signal.SIGCONT)
        zombie.says("partition claimed", times=4)
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_twice()


def test_member_frozen_in_a_batch_blocks_no_successor(scene: Cluster) -> None:
    scene.watch_positions()
    scene.play(Mix(delegations=60))
    prepare(scene, "in the write")
    with halting(scene, "in the write"):
        frozen = scene.member(**BRIEF_SESSION, lock_timeout_ms="5000")
        until_halted(scene)
        frozen.signal(signal.SIGSTOP)
        before = scene.projected()
    scene.projects_more_than(before)  # the server commits its batch without it, and so releases the locks
    scene.member()
    scene.play(Mix(delegations=30, seed=8))
    scene.caught_up()
    scene.view_equals_log()
    frozen.signal(signal.SIGCONT)
    frozen.says("partition claimed", times=4)
    scene.view_equals_log()
    scene.nothing_twice()


def test_member_frozen_in_a_claim_blocks_only_briefly(scene: Cluster) -> None:
    scene.play(Mix(delegations=60))
    prepare(scene, "in the claim")
    with halting(scene, "in the claim"):
        frozen = scene.member(**BRIEF_SESSION, lock_timeout_ms="5000")
        until_halted(scene)
        frozen.signal(signal.SIGSTOP)
    until(lambda: not sessions(scene), "Postgres has ended its session, and its claim is not committed")
    scene.member()
    scene.caught_up()
    scene.view_equals_log()
    frozen.signal(signal.SIGCONT)
    frozen.says("waiting for Postgres")
    frozen.says("Postgres is back")
    scene.view_equals_log()
