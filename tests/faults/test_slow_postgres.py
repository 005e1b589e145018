"""A Postgres that writes too slowly for the statement timeout: smaller batches, and one slow record delays no other."""

import json
from pathlib import Path
from typing import Any

from cluster import Cluster, Member, wait_until
from rows import delegate
from slow_writes import slow_down_inserts, slow_down_row, speed_up

from testbed.workload import Mix, Record

SHORT_STATEMENTS = {"statement_timeout_ms": "1000", "max_poll_interval_ms": "5000"}


def messages(member: Member) -> list[Any]:
    return [line["message"] for line in member.lines()]


def request(number: int) -> Record:
    row = delegate(0, request_body={"delegation_id": f"d-{number}", "task": "wait"})
    return Record(f"caller-{number}".encode(), json.dumps(row).encode(), 1_746_439_200_000)


def test_batches_that_are_too_slow_become_smaller(cluster: Cluster) -> None:
    cluster.watch_positions()
    slow_down_inserts(cluster.database_url, of_more_than=4)
    cluster.publish(Mix(delegations=100))
    member = cluster.start_member(**SHORT_STATEMENTS, batch_records="500")
    line = member.wait_for_log("batches are too slow, they have fewer records now")
    assert "statement timeout" in line["reason"]
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    cluster.assert_nothing_dropped()
    cluster.assert_projected_once()
    cluster.assert_outcomes_counted_once()
    assert "waiting for Postgres" not in messages(member)
    assert messages(member).count("partitions assigned") == 1  # the group never removed it


def test_size_of_batches_grows_when_postgres_is_fast_again(cluster: Cluster) -> None:
    slow_down_inserts(cluster.database_url, of_more_than=4)
    cluster.publish(Mix(delegations=60))
    member = cluster.start_member(**SHORT_STATEMENTS, batch_records="16")
    member.wait_for_log("batches are too slow, they have fewer records now")
    cluster.wait_until_caught_up()
    speed_up(cluster.database_url)
    cluster.publish(Mix(delegations=200, seed=8))
    member.wait_for_log("batches have as many records as configured again")
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()


def test_slow_record_delays_its_partition_only(cluster: Cluster, tmp_path: Path) -> None:
    cluster.watch_positions()
    slow_down_row(cluster.database_url, "d-5")
    cluster.publish(request(number) for number in range(30))
    slow = next(each for each in cluster.acknowledged if b'"d-5"' in (each.value or b""))
    health = tmp_path / "health"
    member = cluster.start_member(**SHORT_STATEMENTS, health_file=str(health))
    line = member.wait_for_log("a record is too slow, its partition waits")
    assert (line["topic"], line["partition"], line["offset"]) == (cluster.topic, slow.partition, slow.offset)
    assert "PROJECTOR_STATEMENT_TIMEOUT_MS" in line["reason"]
    others = {partition: end for partition, end in cluster.end_offsets().items() if partition != slow.partition}
    wait_until(lambda: others.items() <= cluster.positions().items(), "the ends of the other partitions")
    cluster.publish(request(number) for number in range(30, 60))
    others = {partition: end for partition, end in cluster.end_offsets().items() if partition != slow.partition}
    member.wait_for_log("a record is too slow, its partition waits", times=3)
    wait_until(lambda: others.items() <= cluster.positions().items(), "the ends of the other partitions again")
    assert cluster.positions()[slow.partition] == slow.offset
    wait_until(lambda: f"offset {slow.offset} of partition {slow.partition}" in health.read_text(), "the health report")
    assert not json.loads(health.read_text())["healthy"]
    speed_up(cluster.database_url)
    cluster.wait_until_caught_up()
    member.wait_for_log("the slow record is passed, its partition continues")
    wait_until(lambda: json.loads(health.read_text())["healthy"], "a healthy report")
    cluster.assert_view_equals_log()
    cluster.assert_projected_once()
    cluster.assert_outcomes_counted_once()
