"""The shadow is taken back and made again while a member projects: nothing of it is the member's concern."""

import psycopg
from cluster import Cluster
from commands import projector

from testbed.workload import Mix

SOMEBODYS_SHADOW = """
    INSERT INTO projector_shadow.delegations (delegation_id, caller_id, callee_id, task_preview)
        VALUES ('d', gen_random_uuid(), gen_random_uuid(), 'sum');
    INSERT INTO projector_shadow.work (source, owner, coverage, carried_over) VALUES ('topic', 'here/1', '{}', 0)
"""


def migrate(scene: Cluster, *arguments: str) -> str:
    done = projector("migrate", *arguments, database_url=scene.database_url)
    assert done.code == 0, done.err
    return done.out


def test_down_to_50_asks_nothing_and_neither_it_nor_up_again_disturbs_a_member(scene: Cluster) -> None:
    with psycopg.connect(scene.database_url) as conn:
        conn.execute(SOMEBODYS_SHADOW)
    member = scene.member()
    member.says("partition claimed", times=3)
    with scene.playing(Mix(delegations=150, seed=1), per_second=500):
        scene.projects_more_than(0)
        assert migrate(scene, "down", "--to", "50") == "reverted 051_shadow\n"
    scene.play(Mix(delegations=50, seed=2))
    scene.caught_up()
    scene.view_equals_log()
    with scene.playing(Mix(delegations=150, seed=3), per_second=500):
        assert migrate(scene, "up") == "applied 051_shadow\nthe schema is up to date\n"
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.each_ended_once()
    assert not {line["message"] for line in member.lines()} & {"fenced", "waiting for Postgres", "waiting for Kafka"}
