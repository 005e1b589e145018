"""A worker in the process of the test, which can break its consumer as a fault of the client would."""

from collections.abc import Iterator
from typing import LiteralString

import psycopg
import pytest
from cluster import Cluster, wait_until
from kafka import TopicPartition
from stepping import new_worker, step_to_the_end, step_until_writing

from projector.kafka import connection
from projector.worker import loop
from projector.worker.loop import Worker
from testbed.workload import Mix


@pytest.fixture(params=[500, 1], ids=["small batches awaited", "each batch read ahead"])
def member(cluster: Cluster, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setattr(loop, "_READ_AHEAD_RECORDS", request.param)
    monkeypatch.setattr(connection, "_unexpected", [])
    member = new_worker(cluster)
    yield member
    member.stop()


def test_stalled_partition_gets_a_new_consumer(member: Worker, cluster: Cluster) -> None:
    cluster.publish(Mix(delegations=20))
    step_to_the_end(member, cluster)
    stalled = member.consumer._consumer
    stalled.pause(TopicPartition(cluster.topic, 1))
    cluster.publish(Mix(delegations=20, seed=8))
    step_to_the_end(member, cluster)
    assert member.consumer._consumer is not stalled
    cluster.assert_view_equals_log()


def test_fenced_member_claims_again(member: Worker, cluster: Cluster) -> None:
    cluster.publish(Mix(delegations=20))
    step_to_the_end(member, cluster)
    for _ in range(6):  # more often than the worker keeps one consumer
        with psycopg.connect(cluster.database_url) as conn:
            conn.execute("UPDATE projector.positions SET owner = gen_random_uuid()")
        cluster.publish(Mix(delegations=5))
        step_to_the_end(member, cluster)
    cluster.assert_view_equals_log()


@pytest.mark.parametrize("moved", ["owner = NULL", "next_offset = 0", "owner = NULL, next_offset = 0"])
def test_idle_member_notices_moved_positions(member: Worker, cluster: Cluster, moved: LiteralString) -> None:
    cluster.publish(Mix(delegations=20))
    step_to_the_end(member, cluster)
    with psycopg.connect(cluster.database_url) as conn:
        conn.execute("UPDATE projector.positions SET " + moved)

    def owned() -> bool:
        member.step()
        with psycopg.connect(cluster.database_url) as conn:
            rows = conn.execute(
                "SELECT partition, next_offset FROM projector.positions WHERE owner = %s", [member.partitions.token]
            ).fetchall()
        return dict(rows) == cluster.end_offsets()

    wait_until(owned, "owned positions at the end again")
    cluster.assert_view_equals_log()


def test_unexpected_client_error_replaces_the_consumer(member: Worker, cluster: Cluster) -> None:
    cluster.publish(Mix(delegations=20))
    step_to_the_end(member, cluster)
    broken = member.consumer._consumer
    broken._fetcher = None  # as a defect of the library would
    member.step()
    cluster.publish(Mix(delegations=5))
    step_to_the_end(member, cluster)
    assert member.consumer._consumer is not broken
    cluster.assert_view_equals_log()


def test_outage_during_a_write_keeps_its_outcomes(
    member: Worker, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    step_until_writing(member, cluster, monkeypatch)
    member.consumer._consumer._fetcher = None
    member.step()
    assert not member.consumer.is_open
    step_to_the_end(member, cluster)
    member.stop()
    assert member.outcomes.total() == len(cluster.acknowledged)
    cluster.assert_view_equals_log()


def test_stop_during_a_write_keeps_its_outcomes(
    member: Worker, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    step_until_writing(member, cluster, monkeypatch)
    member.stop()
    assert member.outcomes.total() == cluster.projected_records() > 0
