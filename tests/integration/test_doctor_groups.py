"""`projector doctor` and consumer groups: whose group it is, and that a running member is not disturbed."""

import time
from contextlib import closing
from typing import Any

import psycopg
import pytest
from cluster import Cluster, wait_until
from doctoring import check, checks, execute
from kafka import KafkaConsumer
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from projector.doctor.checks import Level
from projector.kafka.group import Assignor, member_name
from testbed.workload import Record


@pytest.fixture
def settings(database_url: str, kafka: str, topic: str) -> dict[str, Any]:
    """The settings of a member of the test's own group."""
    return {"database_url": database_url, "bootstrap_servers": kafka, "topic": topic, "group_id": f"group-{topic}"}


def consumer(kafka: str, topic: str, group: str, **arguments: Any) -> Any:
    """A member of the group that has its partitions."""
    joined = KafkaConsumer(topic, bootstrap_servers=kafka, group_id=group, enable_auto_commit=False, **arguments)
    assert joined.partitions_for_topic(topic)  # else the first assignment can be empty
    wait_until(lambda: joined.poll(timeout_ms=100) is not None and joined.assignment(), "it has its partitions")
    return joined


def test_group_without_members_is_a_note(settings: dict[str, Any]) -> None:
    found = check("consumer group", **settings)
    assert (found.level, found.remedy) == (Level.NOTE, "start `projector run`")


def test_other_application_in_the_group_must_leave(settings: dict[str, Any], kafka: str, topic: str) -> None:
    with closing(consumer(kafka, topic, settings["group_id"], client_id="billing")):
        found = check("consumer group", **settings)
    assert found.level is Level.CHANGE
    assert "another application uses this consumer group (its members include billing at " in found.found
    assert str(found.remedy).startswith("Set a group id")


def test_group_with_another_strategy_must_be_changed(settings: dict[str, Any], kafka: str, topic: str) -> None:
    strategy = (RoundRobinPartitionAssignor,)
    with closing(
        consumer(kafka, topic, settings["group_id"], client_id="projector", partition_assignment_strategy=strategy)
    ):
        found = check("consumer group", **settings)
    assert found.level is Level.CHANGE
    assert "its strategy is roundrobin" in found.found


def test_second_group_on_one_view_must_be_stopped(
    settings: dict[str, Any], database_url: str, kafka: str, topic: str
) -> None:
    assert check("other groups", **settings).level is Level.OK
    execute(
        database_url,
        "INSERT INTO projector.positions (topic, partition, next_offset, member, group_id) "
        f"VALUES ('{topic}', 0, 0, 'there/1', 'theirs-{topic}')",
    )
    with closing(consumer(kafka, topic, f"theirs-{topic}", client_id="projector")):
        found = check("other groups", **settings)
        assert (found.level, found.remedy) == (Level.NOTE, "compare PROJECTOR_GROUP_ID with that of the members")
        with closing(consumer(kafka, topic, settings["group_id"], client_id="projector")):
            found = check("other groups", **settings)
    assert found.level is Level.CHANGE
    assert (
        f"two consumer groups project into this view: ours {settings['group_id']}, theirs theirs-{topic}" in found.found
    )
    assert "Stop one of them" in str(found.remedy)


def test_member_that_has_not_claimed_is_a_note(settings: dict[str, Any], kafka: str, topic: str) -> None:
    with closing(consumer(kafka, topic, settings["group_id"], partition_assignment_strategy=(Assignor,))):
        found = check("consumer group", **settings)
    assert found.level is Level.NOTE
    assert f"partitions 0, 1, 2 assigned to {member_name()}, which has not claimed them" in found.found


def test_doctor_disturbs_no_member(cluster: Cluster) -> None:
    cluster.watch_positions()
    member = cluster.start_member()
    cluster.publish([Record(b"c", b"{}", int(time.time() * 1000)) for _ in range(10)])
    cluster.wait_until_caught_up()
    before = _claims(cluster), member.text().count("partitions assigned")
    settings = {"bootstrap_servers": cluster.bootstrap_servers, "group_id": f"group-{cluster.topic}"}
    found = checks(database_url=cluster.database_url, topic=cluster.topic, **settings)
    assert found["consumer group"].level is Level.OK
    assert found["log"].level is Level.OK
    cluster.publish([Record(b"c", b"{}", int(time.time() * 1000)) for _ in range(10)])
    cluster.wait_until_caught_up()
    assert (_claims(cluster), member.text().count("partitions assigned")) == before


def _claims(cluster: Cluster) -> list[Any]:
    with psycopg.connect(cluster.database_url) as conn:
        return conn.execute(
            "SELECT partition, owner, generation, member, claimed_at FROM projector.positions ORDER BY 1"
        ).fetchall()
