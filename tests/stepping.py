"""A worker in the process of the test, one step after the other."""

import psycopg
import pytest
from cluster import Cluster, wait_until

from projector.settings import load
from projector.worker import loop
from projector.worker.loop import Worker
from testbed.workload import Mix


def new_worker(cluster: Cluster, **own: object) -> Worker:
    settings = load(
        {
            "database_url": cluster.database_url,
            "bootstrap_servers": cluster.bootstrap_servers,
            "topic": cluster.topic,
            "group_id": f"group-{cluster.topic}",
            "heartbeat_interval_ms": 100,
            **own,
        }
    )
    return Worker(settings.model_copy(update={"stalled_after_seconds": 1}))


def step_for_ever(member: Worker) -> None:
    while True:
        member.step()


def step_to_the_end(member: Worker, cluster: Cluster) -> None:
    def caught_up() -> bool:
        member.step()
        return cluster.end_offsets().items() <= cluster.positions().items()

    wait_until(caught_up, "positions at the end")


def step_until_writing(member: Worker, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish, and step until Postgres is writing a batch that is not finished."""
    monkeypatch.setattr(loop, "_READ_AHEAD_RECORDS", 1)
    cluster.publish(Mix(delegations=20))

    def is_writing() -> bool:
        member.step()
        return member._pending is not None

    wait_until(is_writing, "a batch that is being written")


def names(cluster: Cluster) -> set[object]:
    """The owners that the positions name, or None."""
    with psycopg.connect(cluster.database_url) as conn:
        return {owner for (owner,) in conn.execute("SELECT member FROM projector.positions")}
