"""The push of results with real members, Kafka and Postgres: what they queue, and who queues nothing."""

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from builders import fold_batches
from cluster import Cluster
from commands import run_projector
from rows import delegate
from stored_dead_letters import letter, opened, store

from projector.recordings.file import RecordedRecord
from testbed.recording import AcknowledgedRecord
from testbed.workload import Mix

TERMINAL = "SELECT delegation_id FROM delegations WHERE status IN ('completed', 'failed', 'stuck')"


def stored(cluster: Cluster, statement: str) -> list[Any]:
    with psycopg.connect(cluster.database_url) as conn:
        return [row[0] if len(row) == 1 else row for row in conn.execute(statement).fetchall()]


def switch_on_long_ago(cluster: Cluster) -> None:
    """So that the events of a simulated platform, which are of a fixed day, lie within the window."""
    with psycopg.connect(cluster.database_url) as conn:
        conn.execute("INSERT INTO projector.push VALUES (%s, '2000-01-01')", [cluster.topic])


def places_of_ends(records: Sequence[AcknowledgedRecord]) -> set[tuple[str, int, int]]:
    """Delegation, partition and offset of each end in the topic."""
    ordered = sorted(records, key=lambda each: (each.partition, each.offset))
    view = fold_batches([RecordedRecord(*each) for each in ordered])
    return {(end.delegation_id, end.partition, end.offset) for end in view.ends}


def assert_every_end_is_queued(cluster: Cluster) -> None:
    ended = stored(cluster, TERMINAL)
    assert len(ended) > 20
    assert sorted(stored(cluster, "SELECT delegation_id FROM projector.outbox")) == sorted(ended)
    ends = stored(cluster, 'SELECT delegation_id, partition, "offset" FROM projector.ends')
    assert set(ends) == places_of_ends(cluster.acknowledged)


def assert_nothing_is_queued(cluster: Cluster) -> None:
    assert stored(cluster, "SELECT * FROM projector.ends") == stored(cluster, "SELECT * FROM projector.outbox") == []


def test_every_end_that_members_project_is_queued_once(cluster: Cluster) -> None:
    """Two members, one of them killed and started again, in small batches."""
    switch_on_long_ago(cluster)
    cluster.publish(Mix(delegations=150))
    killed = cluster.start_member(result_push="inbox", batch_records="20")
    cluster.wait_until_more_projected_than(100)
    killed.kill()
    cluster.start_member(result_push="topic", batch_records="50")
    cluster.start_member("--members", "2", result_push="inbox")
    cluster.publish(Mix(delegations=150, seed=8))
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    cluster.assert_nothing_dropped()
    assert_every_end_is_queued(cluster)


def test_flag_over_a_large_history_queues_nothing(cluster: Cluster) -> None:
    cluster.publish(Mix(delegations=300))
    member = cluster.start_member()
    cluster.wait_until_caught_up()
    member.signal(signal.SIGTERM)
    assert member.exit_code() == 0
    assert stored(cluster, "SELECT * FROM projector.push") == []
    before = cluster.positions()
    pushing = cluster.start_member(result_push="inbox")
    pushing.wait_for_log("results are pushed from now on")
    assert dict(stored(cluster, "SELECT partition, next_offset FROM projector.push_from")) == before
    with psycopg.connect(cluster.database_url) as conn:  # and the whole topic once more
        conn.execute("UPDATE projector.positions SET next_offset = 0, owner = NULL")
    cluster.wait_until_caught_up()
    assert_nothing_is_queued(cluster)


def test_member_with_the_flag_off_warns_and_queues_nothing(cluster: Cluster) -> None:
    switch_on_long_ago(cluster)
    cluster.publish(Mix(delegations=50))
    member = cluster.start_member()
    cluster.wait_until_caught_up()
    [warning] = [line for line in member.lines() if line["level"] == "warning" and "results of" in line["message"]]
    assert "`projector push missing`" in warning["message"]
    assert_nothing_is_queued(cluster)


def test_only_members_and_retries_queue(cluster: Cluster, tmp_path: Path) -> None:
    """verify, rebuild and replay, with the flag set: no end and no reply. Rebuild says how many have none."""
    switch_on_long_ago(cluster)
    cluster.publish(Mix(delegations=100))
    member = cluster.start_member()  # queues nothing
    cluster.wait_until_caught_up()
    member.signal(signal.SIGTERM)
    assert member.exit_code() == 0
    recording = str(tmp_path / "all.jsonl")
    settings = {
        "database_url": cluster.database_url,
        "bootstrap_servers": cluster.bootstrap_servers,
        "topic": cluster.topic,
        "rebuild_grace_seconds": "0",
        "result_push": "inbox",
    }
    assert run_projector("record", "--out", recording, **settings).code == 0
    with psycopg.connect(cluster.database_url) as conn:
        conn.execute("DELETE FROM delegations WHERE delegation_id IN (SELECT delegation_id FROM delegations LIMIT 9)")
    ended = len(stored(cluster, TERMINAL))
    assert run_projector("verify", **settings).code == 3
    rebuilt = run_projector("rebuild", "--yes", **settings)
    assert rebuilt.code == 0, rebuilt.err
    ended = len(stored(cluster, TERMINAL))
    assert f"projector: {ended} delegations ended since results are pushed and have no reply" in rebuilt.err
    assert "`projector push missing --send` queues them" in rebuilt.err
    with psycopg.connect(cluster.database_url) as conn:
        conn.execute("DELETE FROM delegations")
    assert run_projector("replay", recording, "--max-dead-letters", "1000", **settings).code in (0, 5)
    assert len(stored(cluster, TERMINAL)) == ended
    assert_nothing_is_queued(cluster)
    with opened(cluster.database_url) as session:
        store(session, [letter(0, delegate(0, "completed"), topic=cluster.topic)])
    retried = run_projector("dead-letters", "retry", "--all", **settings)
    assert retried.code in (0, 5), retried.err
    assert stored(cluster, "SELECT delegation_id FROM projector.outbox") == ["d-1"]


def test_without_a_push_rebuild_does_not_speak_of_it(cluster: Cluster) -> None:
    cluster.publish(Mix(delegations=20))
    cluster.start_member()
    cluster.wait_until_caught_up()
    rebuilt = run_projector(
        "rebuild", database_url=cluster.database_url, bootstrap_servers=cluster.bootstrap_servers, topic=cluster.topic
    )
    assert rebuilt.code == 0
    assert "pushed" not in rebuilt.err
