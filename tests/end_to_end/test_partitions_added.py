"""Partitions added to a topic: the records of one caller lie in two partitions, and only their timestamps order them.

Every reader that begins at the start of both partitions must find what the members found live.
"""

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from cluster import Cluster, wait_until
from commands import CommandResult, run_projector
from kafka import KafkaAdminClient, KafkaProducer
from rows import CALLER, Columns, answer, delegate
from topics import create_topic

EARLIER = 3_000
"""Records in partition 0 before the others, more than one fetch: a fresh reader reads partition 1 to its end before."""
BEFORE: list[Columns] = [
    delegate(0),
    answer(1, "failed", error="timed out"),
    delegate(2, idempotency_key="order-7", request_body={"delegation_id": "d-2", "task": "count"}),
    answer(3, "completed", of="d-2", text="41 beans"),
]
AFTER: list[Columns] = [
    answer(9, "completed", text="41 beans"),
    delegate(10, idempotency_key="order-7", request_body={"delegation_id": "d-3", "task": "count"}),
]
ANSWERS = [("d-1", "failed", "timed out", None), ("d-2", "completed", None, "41 beans")]


@pytest.fixture
def grown(cluster: Cluster) -> Cluster:
    """A topic that grew from one partition to three under a member, which has projected all of it."""
    cluster.topic = create_topic(cluster.bootstrap_servers, partitions=1)
    cluster.start_member(metadata_max_age_ms="1000")
    earlier = [delegate(0, request_body={"delegation_id": f"e-{n}", "task": "t" * 500}) for n in range(EARLIER)]
    send(cluster, 0, [*earlier, *BEFORE])
    wait_until(lambda: cluster.positions() == {0: EARLIER + 4}, "partition 0 is projected")
    with closing(KafkaAdminClient(bootstrap_servers=cluster.bootstrap_servers)) as admin:
        admin.create_partitions({cluster.topic: 3})
    wait_until(lambda: cluster.positions() == {0: EARLIER + 4, 1: 0, 2: 0}, "the new partitions are claimed")
    send(cluster, 1, AFTER)
    wait_until(lambda: cluster.positions() == {0: EARLIER + 4, 1: 2, 2: 0}, "partition 1 is projected")
    return cluster


def send(cluster: Cluster, partition: int, rows: list[Columns]) -> None:
    """Send rows whose `created_at` is now: the default timestamp of their records."""
    with closing(KafkaProducer(bootstrap_servers=cluster.bootstrap_servers)) as producer:
        for row in rows:
            value = json.dumps({**row, "created_at": datetime.now(UTC).isoformat()}).encode()
            producer.send(cluster.topic, value, CALLER.encode(), partition=partition)
        producer.flush()


def answers(database_url: str) -> list[tuple[str, str, str | None, str | None]]:
    """The three delegations of the case, as the view has them."""
    with psycopg.connect(database_url) as conn:
        return conn.execute(
            """
            SELECT delegation_id, status, error_detail, result_preview FROM delegations
             WHERE delegation_id LIKE 'd-%' ORDER BY 1
            """
        ).fetchall()


def command(cluster: Cluster, *arguments: str, **others: str) -> CommandResult:
    names = ("database_url", "bootstrap_servers", "topic")
    return run_projector(*arguments, **{**{name: getattr(cluster, name) for name in names}, **others})


def test_readers_of_both_partitions_agree_with_the_view(grown: Cluster, empty_url: str, tmp_path: Path) -> None:
    assert answers(grown.database_url) == ANSWERS
    for _ in range(2):
        verified = command(grown, "verify", "--json")
        assert (verified.code, verified.json()["drift"], verified.json()["not_covered"]) == (0, 0, 0), verified
        rebuilt = command(grown, "rebuild", "--json")
        assert (rebuilt.code, rebuilt.json()["drift"], rebuilt.json()["written"]) == (0, 0, None), rebuilt
    assert answers(grown.database_url) == ANSWERS

    for delegation, stored in (("d-1", "failed"), ("d-2", "completed")):
        explained = command(grown, "explain", delegation, "--everywhere", "--json").json()
        assert explained["folded"]["status"] == explained["stored"]["status"] == stored
        assert explained["verdict"] == "equal"

    recording = tmp_path / "topic.jsonl"
    assert command(grown, "record", "--out", str(recording)).code == 0
    assert command(grown, "migrate", "up", database_url=empty_url).code == 0
    assert command(grown, "replay", str(recording), database_url=empty_url).code == 0
    assert answers(empty_url) == ANSWERS
    from_recording = command(grown, "verify", "--from", str(recording), "--json").json()
    assert (from_recording["drift"], from_recording["records"]) == (0, EARLIER + 6)
