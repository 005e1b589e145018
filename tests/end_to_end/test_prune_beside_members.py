"""`projector prune` beside members under load: nothing comes back, and no batch and no pruning deadlock."""

import psycopg
from cluster import Cluster
from commands import run_projector
from under_load import under_load


def run(cluster: Cluster, *arguments: str) -> str:
    command = run_projector(
        *arguments,
        database_url=cluster.database_url,
        bootstrap_servers=cluster.bootstrap_servers,
        topic=cluster.topic,
    )
    assert command.code == 0, command.out + command.err
    return command.out


def test_prune_beside_members_under_load(cluster: Cluster) -> None:
    members = [cluster.start_member(), cluster.start_member()]
    with under_load(cluster, per_second=500):
        for _ in range(2):
            cluster.wait_until_more_projected_than(cluster.projected_records() + 200)
            run(cluster, "prune", "--ended-before", "0s", "--yes")
    cluster.wait_until_caught_up()
    with psycopg.connect(cluster.database_url) as conn:
        ((pruned, again, deadlocks),) = conn.execute(
            """
            SELECT (SELECT count(*) FROM projector.pruned),
                   (SELECT count(*) FROM delegations JOIN projector.pruned USING (delegation_id)),
                   (SELECT deadlocks FROM pg_stat_database WHERE datname = current_database())
            """
        ).fetchall()
    assert pruned > 0
    assert (again, deadlocks) == (0, 0)
    assert "the view equals the source" in run(cluster, "verify")
    for member in members:
        assert not {line["message"] for line in member.lines()} & {"fenced", "waiting for Postgres"}
