"""Who reads the topic: members that claim nothing, two groups on one view, and groups of other applications."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, Member, wait_until
from commands import CommandResult, run_projector
from kafka import KafkaConsumer
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from polling import polling
from topics import create_topic

from projector.kafka.consumer import GroupConsumer
from projector.settings import KafkaSettings
from testbed.servers.processes import java_command, kafka_jars


def status(cluster: Cluster, *arguments: str, **settings: str) -> CommandResult:
    group = {"group_id": f"group-{cluster.topic}", **settings}
    where = {"database_url": cluster.database_url, "bootstrap_servers": cluster.bootstrap_servers}
    return run_projector("status", *arguments, topic=cluster.topic, **where, **group)


def words(result: CommandResult) -> str:
    assert result.code == 0, result.err
    return " ".join(result.out.split())


@contextmanager
def member_without_claims(cluster: Cluster) -> Iterator[str]:
    """A member that takes its share of the partitions and claims none, as one without a usable database."""
    consumer = GroupConsumer(
        KafkaSettings(
            bootstrap_servers=cluster.bootstrap_servers, topic=cluster.topic, group_id=f"group-{cluster.topic}"
        )
    )
    consumer.open()
    with closing(consumer), polling(consumer):
        yield consumer.member


def owners(report: dict[str, Any]) -> list[tuple[str | None, str | None]]:
    return [(each["assigned_to"], each["owner"]) for each in report["partitions"]]


def test_status_names_the_member_that_has_not_claimed(cluster: Cluster) -> None:
    healthy = cluster.start_member()
    healthy.wait_for_log("partition claimed", times=3)
    with member_without_claims(cluster) as silent:

        def unclaimed() -> dict[str, Any] | None:
            report: dict[str, Any] = status(cluster, "--json").json()
            return report if any("has not claimed" in note for note in report["notes"]) else None

        report = wait_until(unclaimed, "an assignment without a claim")
        stalled = [each["partition"] for each in report["partitions"] if each["assigned_to"] == silent]
        assert stalled
        assert set(report["members"]) == {silent, report["partitions"][stalled[0]]["owner"]}
        claims = "claimed it" if len(stalled) == 1 else "claimed them"
        numbers = ", ".join(map(str, stalled))
        assert report["notes"] == [
            f"partition{'s' if stalled[1:] else ''} {numbers} assigned to {silent}, which has not {claims}"
        ]
        plain = words(status(cluster))
        assert f"assigned to {silent}, which has not {claims}" in plain
        assert f"{silent} (not claimed)" in plain


def test_status_of_a_healthy_group_has_no_note(cluster: Cluster) -> None:
    cluster.start_member().wait_for_log("partition claimed", times=3)
    report = status(cluster, "--json").json()
    assert report["notes"] == []
    assert (report["group_id"], report["group_state"]) == (f"group-{cluster.topic}", "Stable")
    ((assigned, owner),) = set(owners(report))
    assert assigned == owner == report["members"][0]
    assert {each["group_id"] for each in report["partitions"]} == {f"group-{cluster.topic}"}


def test_owner_that_was_killed_is_not_in_the_group(cluster: Cluster) -> None:
    member = cluster.start_member()
    member.wait_for_log("partition claimed", times=3)
    member.kill()
    wait_until(lambda: status(cluster, "--json").json()["group_state"] == "Empty", "an empty group")
    assert "(left the group)" in words(status(cluster))
    assert status(cluster, "--json").json()["notes"] == []


# --- two groups on one view


def fenced_reasons(member: Member) -> list[str]:
    return [line["reason"] for line in member.lines() if line["message"] == "fenced"]


def test_second_group_on_a_view_is_named(cluster: Cluster, tmp_path: Path) -> None:
    health = tmp_path / "health"
    first = cluster.start_member(health_file=str(health))
    first.wait_for_log("partition claimed", times=3)
    theirs = f"other-{cluster.topic}"
    second = cluster.start_member(group_id=theirs)
    first.wait_for_log("fenced")
    sentence = f"two consumer groups project into this view: ours group-{cluster.topic}, theirs {theirs} (member "
    remedy = "). Stop one of them, or give it another database"
    (reason, *_) = fenced_reasons(first)
    assert reason.startswith(sentence)
    assert reason.endswith(remedy)
    assert f"/{second.process.pid}{remedy}" in reason
    wait_until(lambda: sentence in json.loads(health.read_text())["state"], "the sentence in the health report")
    wait_until(lambda: sentence in words(status(cluster)), "the sentence in the status")


def test_new_group_id_after_the_old_group_is_no_second_group(cluster: Cluster) -> None:
    old = cluster.start_member()
    old.wait_for_log("partition claimed", times=3)
    old.kill()
    new = cluster.start_member(group_id=f"new-{cluster.topic}")
    new.wait_for_log("partition claimed", times=3)
    report = status(cluster, "--json", group_id=f"new-{cluster.topic}").json()
    assert report["notes"] == []
    assert {each["group_id"] for each in report["partitions"]} == {f"new-{cluster.topic}"}
    assert new.signal(signal.SIGTERM).exit_code() == 0
    assert "two consumer groups" not in new.text()


def test_status_with_the_wrong_group_id_names_the_right_one(cluster: Cluster) -> None:
    cluster.start_member().wait_for_log("partition claimed", times=3)
    (note,) = status(cluster, "--json", group_id="nobody").json()["notes"]
    assert note.startswith(f"PROJECTOR_GROUP_ID=nobody has no members for this topic. Group group-{cluster.topic} ")


# --- groups of other applications


@contextmanager
def foreign_member(cluster: Cluster, topic: str, assignor: Any, client_id: str = "somebody-else") -> Iterator[None]:
    """A consumer of another application in the projector's group, once it has its partitions."""
    consumer = KafkaConsumer(
        bootstrap_servers=cluster.bootstrap_servers,
        group_id=f"group-{cluster.topic}",
        partition_assignment_strategy=(assignor,),
        client_id=client_id,
    )
    consumer.subscribe([topic])
    assert consumer.partitions_for_topic(topic)  # else the first assignment can be empty
    wait_until(lambda: (consumer.poll(100), consumer.assignment())[1], "an assignment")
    with closing(consumer), polling(consumer):
        yield


def assert_ends_with_exit_code_2(cluster: Cluster, reason: str) -> None:
    member = cluster.start_member()
    assert member.exit_code() == 2, member.text()[-2000:]
    last = member.text().splitlines()[-1]
    assert last.startswith(f"projector: PROJECTOR_GROUP_ID=group-{cluster.topic}: another application uses this")
    assert reason in last


@pytest.mark.parametrize("assignor", [RangePartitionAssignor, RoundRobinPartitionAssignor])
@pytest.mark.parametrize("own_topic", [True, False], ids=["same topic", "another topic"])
def test_group_of_another_application_ends_run(cluster: Cluster, kafka: str, assignor: Any, *, own_topic: bool) -> None:
    topic = cluster.topic if own_topic else create_topic(kafka, partitions=1)
    with foreign_member(cluster, topic, assignor):
        assert_ends_with_exit_code_2(cluster, "somebody-else at 127.0.0.1")
        if own_topic:
            assert "another application uses this consumer group" in words(status(cluster))


def test_refusal_by_the_group_ends_run(cluster: Cluster) -> None:
    """A member with our client id could be a projector of an earlier release. Kafka refuses another strategy."""
    with foreign_member(cluster, cluster.topic, RoundRobinPartitionAssignor, client_id="projector"):
        assert_ends_with_exit_code_2(cluster, "its strategy is roundrobin, and ours is range")


FOREIGN = """
import java.time.Duration; import java.util.*; import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
public class Foreign { public static void main(String[] a) {
  Map<String, Object> p = Map.of("bootstrap.servers", a[0], "group.id", a[1], "group.protocol", "consumer");
  try (var c = new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
    c.subscribe(List.of(a[2]));
    while (true) { c.poll(Duration.ofMillis(100)); if (!c.assignment().isEmpty()) System.out.println("assigned"); }
  } } }
"""


def test_group_of_the_newer_protocol_ends_run(cluster: Cluster, tmp_path: Path) -> None:
    """Kafka would let the member join and give it a share (KIP-848)."""
    source = tmp_path / "Foreign.java"
    source.write_text(FOREIGN)
    command = [java_command(), "-cp", f"{kafka_jars()}/*", str(source)]
    arguments = [cluster.bootstrap_servers, f"group-{cluster.topic}", cluster.topic]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as foreign:
        try:
            assert foreign.stdout is not None
            assert foreign.stdout.readline() == b"assigned\n"
            assert_ends_with_exit_code_2(cluster, "its members do not use the classic consumer protocol")
        finally:
            foreign.kill()
