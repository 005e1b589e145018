"""`projector verify` and `projector rebuild` as processes: each kind of drift is found, reported and repaired."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
import pytest
from cluster import Cluster, wait_until
from commands import CommandResult, environment, run_projector
from under_load import under_load

from testbed.workload import Mix

WORKLOAD = Mix(delegations=100)
DAMAGES: dict[str, tuple[LiteralString, str, dict[str, int]]] = {
    "edited": (
        """
        UPDATE delegations SET task_preview = 'edited'
         WHERE delegation_id IN (SELECT delegation_id FROM delegations ORDER BY 1 LIMIT 3) RETURNING delegation_id
        """,
        "differs",
        {"task_preview": 3},
    ),
    "removed": (
        """
        DELETE FROM delegations
         WHERE delegation_id IN (SELECT delegation_id FROM delegations ORDER BY 1 DESC LIMIT 3) RETURNING delegation_id
        """,
        "missing",
        {},
    ),
    "added": (
        """
        INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview)
        SELECT 'planted-' || n, gen_random_uuid(), gen_random_uuid(), 'planted' FROM generate_series(1, 3) n
        RETURNING delegation_id
        """,
        "unexpected",
        {},
    ),
    "moved back": (
        """
        UPDATE delegations SET status = 'dispatched'
         WHERE delegation_id IN (SELECT delegation_id FROM delegations WHERE status = 'completed' ORDER BY 1 LIMIT 3)
        RETURNING delegation_id
        """,
        "differs",
        {"status": 3},
    ),
}


@pytest.fixture
def projected(cluster: Cluster) -> Cluster:
    """A workload's records, projected by a member that still runs."""
    cluster.publish(WORKLOAD)
    cluster.start_member()
    cluster.wait_until_caught_up()
    return cluster


def settings(cluster: Cluster, **others: str) -> dict[str, str]:
    common = {
        "database_url": cluster.database_url,
        "bootstrap_servers": cluster.bootstrap_servers,
        "topic": cluster.topic,
        "rebuild_grace_seconds": "0",
    }
    return {**common, **others}


def command(cluster: Cluster, *arguments: str) -> CommandResult:
    return run_projector(*arguments, **settings(cluster))


def damage(cluster: Cluster, statement: LiteralString) -> list[str]:
    """Change the view by hand; returns the ids of the changed rows."""
    with psycopg.connect(cluster.database_url, autocommit=True) as conn:
        ids = [row[0] for row in conn.execute(statement)]
    assert ids
    return ids


def folded(cluster: Cluster) -> int:
    """How many records are folded into the shadow."""
    with psycopg.connect(cluster.database_url) as conn:
        row = conn.execute("SELECT coalesce(sum(next_offset), 0) FROM projector_shadow.positions").fetchone()
    return int(row[0]) if row else 0


def wait_until_folded(cluster: Cluster, records: int) -> None:
    """Wait until at least `records` records are folded into the shadow."""
    wait_until(lambda: folded(cluster) >= records, f"a shadow of {records} records")


@contextmanager
def rebuilding(cluster: Cluster, **others: str) -> Iterator[subprocess.Popen[bytes]]:
    """A running rebuild; its batches are small, so that it takes long enough to be killed."""
    started = subprocess.Popen(
        [sys.executable, "-m", "projector", "rebuild", "--yes"], env=environment(settings(cluster, batch_records="100"))
    )
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def test_untouched_view_is_equal(projected: Cluster) -> None:
    ended = command(projected, "verify", "--json")
    assert ended.code == 0, ended.err
    assert ended.json()["drift"] == 0
    assert ended.json()["records"] == len(projected.acknowledged)


@pytest.mark.parametrize("damaged", DAMAGES)
def test_drift_is_found_reported_and_repaired(projected: Cluster, damaged: str) -> None:
    statement, kind, columns = DAMAGES[damaged]
    ids = damage(projected, statement)
    found = command(projected, "verify", "--json")
    assert found.code == 3, found.err
    report: dict[str, Any] = found.json()
    assert report["drift"] == report["kinds"][kind] == 3
    assert report["columns"] == columns
    assert sorted(each["delegation_id"] for each in report["examples"]) == sorted(ids)
    rebuilt = command(projected, "rebuild", "--yes")
    assert rebuilt.code == 0, rebuilt.err
    assert command(projected, "verify").code == 0
    projected.assert_view_equals_log()


def test_rebuild_under_traffic_resumes_after_two_kills(projected: Cluster) -> None:
    projected.publish(Mix(delegations=300, seed=7))
    projected.wait_until_caught_up()
    for statement, _, _ in DAMAGES.values():
        damage(projected, statement)
    before = 0
    with under_load(projected, Mix(seed=8), per_second=300):
        for _ in range(2):
            with rebuilding(projected) as killed:
                wait_until_folded(projected, before + 1000)
                killed.send_signal(signal.SIGKILL)
                assert killed.wait() == -signal.SIGKILL
                before = folded(projected)
        acknowledged = len(projected.acknowledged)
        with rebuilding(projected) as last:
            assert last.wait(timeout=60) == 0
        assert acknowledged < len(projected.acknowledged), "no records were produced during the rebuild"
    projected.wait_until_caught_up()
    assert command(projected, "verify").code == 0
    projected.assert_view_equals_log()
