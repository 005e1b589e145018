"""Members that die, hang and come back, while a platform writes: nothing is lost, nothing is projected twice."""

import signal

import pytest
from cluster import Cluster, until
from pausing import POINTS, halting, prepare, sessions, until_gone, until_halted
from repetitions import Round

from testbed.workload import Mix


def test_a_member_killed_again_and_again_loses_nothing_and_repeats_nothing(scene: Cluster, chance: Round) -> None:
    scene.watch_positions()
    rng, kills = chance.chances(), chance.repeats(4, 100)
    with scene.playing(Mix(delegations=150 * kills, seed=chance.seed), per_second=500):
        for _ in range(kills):
            before = scene.projected()
            member = scene.member(batch_records="100")
            scene.projects_more_than(before + rng.randrange(400))
            member.kill()
    scene.member(batch_records="100")
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.nothing_twice()


@pytest.mark.parametrize("point", POINTS)
def test_what_a_killed_member_has_sent_is_written_to_its_end_and_goes_on_from_there(scene: Cluster, point: str) -> None:
    scene.watch_positions()
    prepare(scene, point)
    member = scene.member(lock_timeout_ms="20000")
    member.says("partition claimed", times=3)
    with halting(scene, point):
        scene.play(Mix(delegations=60))
        until_halted(scene)
        member.kill()
        assert scene.projected() == 0
    until_gone(scene)
    assert scene.projected() > 0  # the server has all of the call, and finishes it for nobody
    assert sum(scene.committed().values()) == 0  # and the group never heard of it
    scene.member()
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.nothing_twice()


def test_a_zombie_is_fenced_when_it_wakes_and_works_on_beside_its_successor(scene: Cluster) -> None:
    scene.watch_positions()
    with scene.playing(Mix(delegations=400), per_second=800):
        zombie = scene.member(batch_records="20")
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


def test_a_member_frozen_in_its_transaction_holds_nothing_up(scene: Cluster) -> None:
    scene.watch_positions()
    scene.play(Mix(delegations=60))
    prepare(scene, "in the write")
    with halting(scene, "in the write"):
        frozen = scene.member(lock_timeout_ms="5000")
        until_halted(scene)
        frozen.signal(signal.SIGSTOP)
    until(lambda: not sessions(scene, waiting=True), "its batch is written")
    assert scene.projected() > 0  # and committed, for it holds nothing any more
    scene.member()
    scene.caught_up()
    scene.view_equals_log()
    frozen.signal(signal.SIGCONT)
    frozen.says("partition claimed", times=4)
    scene.view_equals_log()
    scene.nothing_twice()


def test_a_member_frozen_while_it_claims_holds_nothing_up_for_long(scene: Cluster) -> None:
    scene.play(Mix(delegations=60))
    prepare(scene, "in the claim")
    with halting(scene, "in the claim"):
        frozen = scene.member(lock_timeout_ms="5000")
        until_halted(scene)
        frozen.signal(signal.SIGSTOP)
    until(lambda: not sessions(scene), "its claim is never committed, and its session is ended")
    scene.member()
    scene.caught_up()
    scene.view_equals_log()
    frozen.signal(signal.SIGCONT)
    frozen.says("waiting for Postgres")
    frozen.says("Postgres is back")
    scene.view_equals_log()
