"""A compacted topic: each command that reads it whole says that it is incomplete, and deletes nothing for it."""

import json
import signal
from contextlib import closing
from typing import Any

import psycopg
import pytest
from cluster import Cluster, wait_until
from commands import CommandResult, run_projector
from compaction import compact
from kafka import KafkaProducer
from rows import Columns, answer, at, delegate, heartbeat
from topics import create_topic

TEN_MS = 1_746_439_200_000
SENTENCE = "compaction removes records of this topic, so the view cannot be projected completely: set cleanup.policy"
RECORDS: list[tuple[str, Columns]] = [
    ("a", delegate(0)),
    ("a", answer(1, "completed", text="kept")),
    ("b", heartbeat(2)),
    ("b", {"activity_type": "agent_log", "created_at": at(3)}),
    ("c", delegate(9, request_body={"delegation_id": "d-2", "task": "t"})),
]
LEFT = [1, 3, 4]


@pytest.fixture
def compacted(cluster: Cluster) -> Cluster:
    """A topic whose records were projected before compaction removed two of them."""
    cluster.topic = create_topic(cluster.bootstrap_servers, partitions=1, config={"segment.ms": "1000"})
    with closing(KafkaProducer(bootstrap_servers=cluster.bootstrap_servers)) as producer:
        for minute, (key, row) in enumerate(RECORDS):
            value, time = json.dumps(row).encode(), TEN_MS + minute * 60_000
            producer.send(cluster.topic, value, key=key.encode(), timestamp_ms=time).get()
    project(cluster)
    compact(cluster.bootstrap_servers, cluster.topic, 0, LEFT)
    return cluster


def project(cluster: Cluster) -> list[dict[str, Any]]:
    """Run a member until it has projected all; returns its log lines."""
    member = cluster.start_member()
    wait_until(lambda: cluster.positions() == {0: len(RECORDS)}, "all records are projected")
    assert member.signal(signal.SIGTERM).exit_code() == 0, member.text()
    return member.lines()


def command(cluster: Cluster, *arguments: str) -> CommandResult:
    names = ("database_url", "bootstrap_servers", "topic")
    return run_projector(*arguments, **{name: getattr(cluster, name) for name in names})


def test_whole_readers_name_the_holes_and_keep_the_rows(compacted: Cluster) -> None:
    verified = command(compacted, "verify")
    assert verified.code == 0, verified
    assert "not covered: the source lacks the history" in verified.out
    for output in (verified.err, command(compacted, "rebuild", "--yes").err):
        assert SENTENCE in output
        assert "records are missing in the log" in output
    assert command(compacted, "rebuild", "--yes", "--json").json()["written"] is None
    assert command(compacted, "explain", "d-1", "--json").json()["verdict"] == "not_covered"
    status = command(compacted, "status", "--json").json()
    assert (status["delegations"]["completed"], status["cleanup_policy"]) == (1, "compact")
    assert f"cleanup.policy=compact: {SENTENCE}" in " ".join(command(compacted, "status").out.split())


def test_run_names_the_setting_and_the_first_hole_and_counts(compacted: Cluster) -> None:
    with psycopg.connect(compacted.database_url) as conn:
        conn.execute("DELETE FROM projector.positions")  # projects the log from its beginning
    log = project(compacted)
    lines = {str(line["message"]): line for line in log}
    (setting,) = [line for message, line in lines.items() if message.startswith(SENTENCE)]
    assert (setting["level"], setting["cleanup_policy"]) == ("warning", "compact")
    hole = lines["records are missing in the log: compaction removed them"]
    expected = {"level": "warning", "topic": compacted.topic, "partition": 0, "offsets": "0 to 0", "records": 1}
    assert expected.items() <= hole.items()
    # A slow run logs a summary before it stops.
    assert sum(line.get("missing", 0) for line in log if line["message"] in ("summary", "stopped")) == 2
