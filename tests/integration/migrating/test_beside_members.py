"""`projector migrate recreate-shadow` beside a running member, which does not use the shadow."""

import psycopg
from cluster import Cluster
from commands import run_projector
from under_load import under_load

FILL_SHADOW = """
    INSERT INTO projector_shadow.delegations (delegation_id, caller_id, callee_id, task_preview)
        VALUES ('d', gen_random_uuid(), gen_random_uuid(), 'sum');
    INSERT INTO projector_shadow.work (source, owner, coverage, carried_over) VALUES ('topic', 'here/1', '{}', 0)
"""


def migrate(cluster: Cluster, *arguments: str) -> str:
    command = run_projector("migrate", *arguments, database_url=cluster.database_url)
    assert command.code == 0, command.err
    return command.out


def test_recreated_shadow_disturbs_no_member(cluster: Cluster) -> None:
    with psycopg.connect(cluster.database_url) as conn:
        conn.execute(FILL_SHADOW)
    member = cluster.start_member()
    member.wait_for_log("partition claimed", times=3)
    with under_load(cluster, per_second=500):
        cluster.wait_until_more_projected_than(0)
        assert migrate(cluster, "recreate-shadow") == "the shadow was created again\n"
        cluster.wait_until_more_projected_than(cluster.projected_records() + 100)
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    cluster.assert_nothing_dropped()
    cluster.assert_outcomes_counted_once()
    assert not {line["message"] for line in member.lines()} & {"fenced", "waiting for Postgres", "waiting for Kafka"}
