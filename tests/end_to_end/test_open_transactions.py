"""Committed records behind a transaction that its producer never ends: status, `run`, health and verify name it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, wait_until
from commands import run_projector
from topics import create_topic
from transactions import open_transaction

from testbed.workload import Record

FIRST_MS = 1_777_975_200_123
"""2026-05-05 10:00:00, when the first record is written. Each of the others is one second younger."""
OPEN_SINCE = "2026-05-05T10:00:01.123000+00:00"
CALLER = "c1000000-0000-4000-8000-000000000011"


def request(number: int) -> Record:
    row = {
        "id": f"e0000000-0000-4000-8000-{number:012}",
        "workspace_id": CALLER,
        "activity_type": "delegation",
        "source_id": CALLER,
        "target_id": "e1000000-0000-4000-8000-000000000001",
        "method": "delegate",
        "status": "pending",
        "created_at": "2026-05-05T10:00:00.000000Z",
        "request_body": {"task": "count beans", "delegation_id": f"d-{number}"},
    }
    return Record(CALLER.encode(), json.dumps(row).encode(), FIRST_MS + 1000 * number)


@pytest.fixture
def one_partition(cluster: Cluster, kafka: str) -> Cluster:
    cluster.topic = create_topic(kafka, partitions=1)
    return cluster


@pytest.fixture
def waiting(one_partition: Cluster) -> Iterator[Cluster]:
    """A record, a record of an open transaction, and three records behind it."""
    one_partition.publish([request(0)])
    with open_transaction(one_partition.bootstrap_servers, one_partition.topic, request(1)):
        one_partition.publish(map(request, (2, 3, 4)))
        yield one_partition


def settings_of(cluster: Cluster) -> dict[str, str]:
    return {name: getattr(cluster, name) for name in ("database_url", "bootstrap_servers", "topic")}


def partition_of(cluster: Cluster) -> Any:
    (partition,) = run_projector("status", "--json", **settings_of(cluster)).json()["partitions"]
    return partition


def wait_for_position(cluster: Cluster, offset: int) -> None:
    wait_until(lambda: cluster.positions() == {0: offset}, f"the position {offset}")


def test_status_counts_what_waits_behind_an_open_transaction(waiting: Cluster) -> None:
    waiting.start_member()
    wait_for_position(waiting, 1)
    partition = partition_of(waiting)
    assert (partition["end"], partition["lag_records"], partition["high_watermark"]) == (1, 0, 5)
    assert partition["open_transaction"] == {
        "partition": 0,
        "offset": 1,
        "high_watermark": 5,
        "waiting_offsets": 4,
        "since": OPEN_SINCE,
        "transactional_id": f"never-ends-{waiting.topic}",
    }
    plain = run_projector("status", **settings_of(waiting))
    assert plain.code == 0
    sentence = " ".join(plain.out.split())
    name = f"(transactional id never-ends-{waiting.topic})"
    assert f"partition 0: an open transaction {name} blocks 4 offsets from offset 1 on" in sentence
    assert "since 2026-05-05 10:00:01" in sentence


def test_nothing_waits_when_the_transaction_has_ended(one_partition: Cluster) -> None:
    with open_transaction(one_partition.bootstrap_servers, one_partition.topic, request(0)):
        one_partition.publish([request(1)])
    one_partition.start_member()
    wait_for_position(one_partition, 3)  # the aborted record, the record, and the marker of the abort
    partition = partition_of(one_partition)
    assert (partition["end"], partition["high_watermark"], partition["open_transaction"]) == (3, 3, None)
    assert "transaction" not in run_projector("status", **settings_of(one_partition)).out


def test_run_warns_of_a_transaction_that_stays_open(waiting: Cluster, tmp_path: Path) -> None:
    health = str(tmp_path / "health")
    member = waiting.start_member(stalled_after_seconds="5", health_file=health)
    line = member.wait_for_log("records wait behind an open transaction")
    assert line["level"] == "warning"
    expected = {"topic": waiting.topic, "partition": 0, "offset": 1, "waiting_offsets": 4, "since": OPEN_SINCE}
    assert expected.items() <= line.items()
    assert line["transactional_id"] == f"never-ends-{waiting.topic}"
    done = run_projector("health", health_file=health)
    assert done.code == 0, "a restart of the projector does not help"
    assert "projecting; partition 0: an open transaction (transactional id" in done.out


def test_health_sentence_ends_with_the_transaction(one_partition: Cluster, tmp_path: Path) -> None:
    health = tmp_path / "health"
    with open_transaction(one_partition.bootstrap_servers, one_partition.topic, request(0)):
        one_partition.publish([request(1)])
        member = one_partition.start_member(stalled_after_seconds="5", health_file=str(health))
        member.wait_for_log("records wait behind an open transaction")
    wait_for_position(one_partition, 3)
    wait_until(lambda: json.loads(health.read_text())["state"] == "projecting", "a report without the transaction")
    one_partition.assert_view_equals_log()


def test_verify_reports_what_it_could_not_compare(waiting: Cluster) -> None:
    waiting.start_member()
    wait_for_position(waiting, 1)
    done = run_projector("verify", **settings_of(waiting))
    assert done.code == 0
    assert "the view equals the source" in done.out
    assert "partition 0: an open transaction (transactional id" in done.err


def test_commands_say_what_they_could_not_read(waiting: Cluster, tmp_path: Path) -> None:
    waiting.start_member()
    wait_for_position(waiting, 1)
    sentence = "partition 0: an open transaction (transactional id"
    out = str(tmp_path / "out.jsonl")
    for command, missed in (
        (("explain", "d-2"), "not searched"),
        (("record", "--out", out), "not recorded"),
        (("rebuild",), "not compared"),
    ):
        assert f"projector: {missed}: {sentence}" in run_projector(*command, **settings_of(waiting)).err
    bounded = run_projector("record", "--out", out, "--force", "--to-offset", "1", **settings_of(waiting))
    assert (bounded.code, bounded.err) == (0, "")
