"""Commands through a real PgBouncer: refused before they change anything, or they return its sessions as they were."""

import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
import pytest
from activity_table import create_activity_table
from cluster import Cluster
from commands import run_projector
from pooling import State, mark, pooled, states
from replaying import REQUEST, recording

from testbed.servers.pooler import PoolMode
from testbed.workload import Mix

SIZE = 5
COMMANDS: Sequence[Sequence[str]] = (
    ("migrate", "up"),
    ("migrate", "status"),
    ("migrate", "recreate-shadow"),
    ("run",),
    ("status",),
    ("verify",),
    ("rebuild", "--yes"),
    ("rebuild", "--from", "activity-logs", "--yes"),
    ("replay", "FILE"),
    ("dead-letters", "list"),
    ("dead-letters", "retry", "--all"),
    ("parked", "list"),
    ("deleted", "list"),
    ("explain", "none"),
)


def names(command: Sequence[str]) -> str:
    return " ".join(command)


@pytest.fixture
def settings(cluster: Cluster) -> dict[str, str]:
    return {"bootstrap_servers": cluster.bootstrap_servers, "topic": cluster.topic}


@pytest.fixture
def arguments(tmp_path: Path) -> Callable[[Sequence[str]], list[str]]:
    file = str(recording(tmp_path, REQUEST))
    return lambda command: [file if part == "FILE" else part for part in command]


@pytest.mark.parametrize(("mode", "size"), [("transaction", 1), ("transaction", SIZE), ("statement", SIZE)])
def test_every_command_refuses_a_shared_session(
    cluster: Cluster,
    tmp_path: Path,
    settings: dict[str, str],
    arguments: Callable[[Sequence[str]], list[str]],
    mode: PoolMode,
    size: int,
) -> None:
    with pooled(tmp_path, cluster.database_url, mode, size) as pool:
        found = _in_pool(pool.url, mode, size)
        for command in COMMANDS:
            done = run_projector(*arguments(command), database_url=pool.url, **settings)
            assert (done.code, done.out) == (2, ""), (command, done)
            assert "is a pooler in transaction or statement mode" in done.err
            assert _in_pool(pool.url, mode, size) == found
    assert cluster.positions() == {}


def _in_pool(url: str, mode: PoolMode, size: int) -> object:
    """What is in the server sessions; in statement mode no test can hold several."""
    if mode == "transaction":
        return states(url, size)
    with psycopg.connect(url, autocommit=True) as conn:
        return conn.execute("SELECT pg_backend_pid(), array_agg(s::text ORDER BY name) FROM pg_settings s").fetchall()


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != ("run",)], ids=names)
def test_command_leaves_sessions_of_a_pool_as_they_were(
    cluster: Cluster,
    tmp_path: Path,
    settings: dict[str, str],
    arguments: Callable[[Sequence[str]], list[str]],
    command: Sequence[str],
) -> None:
    create_activity_table(cluster.database_url)
    cluster.publish(Mix(delegations=20))
    with pooled(tmp_path, cluster.database_url, "session", SIZE) as pool:
        found = _marked(pool.url)
        done = run_projector(*arguments(command), database_url=pool.url, **settings)
        assert done.code in (0, 3, 6), done
        assert states(pool.url, SIZE) == found


def _marked(url: str) -> dict[int, State]:
    mark(url, SIZE)
    found = states(url, SIZE)
    assert len(found) == SIZE
    assert all(("work_mem", "5120") in state["settings"] for state in found.values())
    return found


def test_run_leaves_sessions_of_a_pool_as_they_were(cluster: Cluster, tmp_path: Path) -> None:
    cluster.watch_positions()
    with pooled(tmp_path, cluster.database_url, "session", SIZE) as pool:
        found = _marked(pool.url)
        member = cluster.start_member(database_url=pool.url, batch_records="50")
        cluster.publish(Mix(delegations=60))
        cluster.wait_until_caught_up()
        assert member.signal(signal.SIGTERM).exit_code() == 0
        assert states(pool.url, SIZE) == found
    cluster.assert_view_equals_log()
    cluster.assert_projected_once()


def test_pool_of_one_session_is_enough_for_run(cluster: Cluster, tmp_path: Path) -> None:
    with pooled(tmp_path, cluster.database_url, "session", 1) as pool:
        cluster.start_member(database_url=pool.url)
        cluster.publish(Mix(delegations=20))
        cluster.wait_until_caught_up()
        cluster.end()
    cluster.assert_view_equals_log()


def test_member_uses_the_session_that_a_killed_one_left(cluster: Cluster, tmp_path: Path) -> None:
    """PgBouncer does not reset the session here, and the killed member could not."""
    cluster.watch_positions()
    with pooled(tmp_path, cluster.database_url, "session", 1) as pool:
        for seed in (7, 8, 9):
            member = cluster.start_member(database_url=pool.url)
            cluster.publish(Mix(delegations=40, seed=seed))
            cluster.wait_until_caught_up()
            member.kill()
    cluster.assert_view_equals_log()
    cluster.assert_nothing_dropped()
    cluster.assert_projected_once()


def test_reset_query_of_the_pool_changes_nothing_for_run(cluster: Cluster, tmp_path: Path) -> None:
    """As PgBouncer is by default."""
    with pooled(tmp_path, cluster.database_url, "session", SIZE, server_reset_query="DISCARD ALL") as pool:
        for seed in (7, 8):
            member = cluster.start_member(database_url=pool.url)
            cluster.publish(Mix(delegations=20, seed=seed))
            cluster.wait_until_caught_up()
            assert member.signal(signal.SIGTERM).exit_code() == 0
    cluster.assert_view_equals_log()
