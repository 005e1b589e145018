"""Members that die, hang and come back, while a platform writes: nothing is lost, nothing is projected twice."""

import random
import signal

import psycopg
from scene import Scene, until

from projector.demo.platform import Mix


def test_a_member_killed_again_and_again_loses_nothing_and_repeats_nothing(scene: Scene) -> None:
    scene.watch_positions()
    rng = random.Random(11)
    with scene.playing(Mix(delegations=1200), per_second=1500):
        for _ in range(8):
            before = scene.projected()
            member = scene.member(batch_records="100")
            scene.projects_more_than(before + rng.randrange(50, 400))
            member.kill()
    scene.member(batch_records="100")
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_twice()


def test_a_member_killed_between_the_gate_and_the_commit_leaves_the_position_where_it_was(scene: Scene) -> None:
    scene.play(Mix(delegations=60))
    with psycopg.connect(scene.database_url) as blocker:
        blocker.execute("LOCK TABLE delegations IN SHARE MODE")  # reads pass, the merge waits
        member = scene.member(lock_timeout_ms="5000")
        until(lambda: _waiting_for_the_table(scene), "the merge waits for the table")
        member.kill()
        until(lambda: not _waiting_for_the_table(scene), "the server notices")
        assert scene.projected() == 0
    scene.member()
    scene.caught_up()
    scene.view_equals_log()


def test_a_second_member_takes_its_share_and_gives_it_back(scene: Scene) -> None:
    scene.watch_positions()
    with scene.playing(Mix(delegations=900), per_second=1000):
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


def test_a_zombie_is_fenced_when_it_wakes_and_works_on_beside_its_successor(scene: Scene) -> None:
    scene.watch_positions()
    with scene.playing(Mix(delegations=1500), per_second=800):
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


def test_a_member_frozen_in_its_transaction_holds_nothing_up(scene: Scene) -> None:
    scene.play(Mix(delegations=60))
    with psycopg.connect(scene.database_url) as blocker:
        blocker.execute("LOCK TABLE delegations IN SHARE MODE")
        frozen = scene.member(lock_timeout_ms="5000")
        until(lambda: _waiting_for_the_table(scene), "the merge waits for the table")
        frozen.signal(signal.SIGSTOP)
    until(lambda: not _waiting_for_the_table(scene), "its merge is through, its commit never comes")
    scene.member()
    scene.caught_up()
    scene.view_equals_log()
    frozen.signal(signal.SIGCONT)
    frozen.says("waiting for Postgres")
    frozen.says("Postgres is back")
    scene.view_equals_log()


def _waiting_for_the_table(scene: Scene) -> bool:
    with psycopg.connect(scene.database_url) as conn:
        waiting = conn.execute(
            "SELECT count(*) FROM pg_locks WHERE relation = 'public.delegations'::regclass AND NOT granted"
        ).fetchone()
    return waiting is not None and waiting[0] > 0
