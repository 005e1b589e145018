"""`projector migrate` removes and recreates the shadow beside a running member, which does not use it."""

import psycopg
from cluster import Cluster
from commands import projector
from under_load import under_load

FILL_SHADOW = """
    INSERT INTO projector_shadow.delegations (delegation_id, caller_id, callee_id, task_preview)
        VALUES ('d', gen_random_uuid(), gen_random_uuid(), 'sum');
    INSERT INTO projector_shadow.work (source, owner, coverage, carried_over) VALUES ('topic', 'here/1', '{}', 0)
"""


def migrate(scene: Cluster, *arguments: str) -> str:
    command = projector("migrate", *arguments, database_url=scene.database_url)
    assert command.code == 0, command.err
    return command.out


def test_down_and_up_of_the_shadow_disturb_no_member(scene: Cluster) -> None:
    """`down --to 50` does not ask either, although the shadow holds rows."""
    with psycopg.connect(scene.database_url) as conn:
        conn.execute(FILL_SHADOW)
    member = scene.member()
    member.says("partition claimed", times=3)
    with under_load(scene, per_second=500):
        scene.projects_more_than(0)
        assert migrate(scene, "down", "--to", "50") == "reverted 051_shadow\n"
        scene.projects_more_than(scene.projected() + 100)
        assert migrate(scene, "up") == "applied 051_shadow\nthe schema is up to date\n"
        scene.projects_more_than(scene.projected() + 100)
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.each_ended_once()
    assert not {line["message"] for line in member.lines()} & {"fenced", "waiting for Postgres", "waiting for Kafka"}
