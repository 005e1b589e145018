"""A Postgres that restarts, ends sessions, refuses writes, deadlocks or is full: a delay, and never a dead letter."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from cluster import Cluster, wait_until
from health_files import reported_healthy
from pausing import LOCKS, POINTS, install_pause, paused_at, terminate_sessions, wait_until_paused
from psycopg import sql
from under_load import under_load

from testbed.servers.start import Postgres
from testbed.workload import Mix


def test_restarts_of_postgres_under_load_lose_nothing(cluster: Cluster, server: Postgres) -> None:
    """One immediate shutdown, after which Postgres recovers, and one fast shutdown."""
    cluster.watch_positions()
    cluster.start_member()
    with under_load(cluster, per_second=800):
        cluster.wait_until_more_projected_than(300)
        server.restart("immediate")
        cluster.wait_until_more_projected_than(cluster.projected_records() + 300)
        server.restart("fast")
    cluster.assert_all_is_well()
    cluster.end()


def test_session_ended_in_a_batch_is_reopened(cluster: Cluster) -> None:
    cluster.watch_positions()
    member = cluster.start_member(batch_records="50")
    with under_load(cluster, per_second=800):
        for _ in range(3):
            cluster.wait_until_more_projected_than(cluster.projected_records() + 100)
            assert terminate_sessions(cluster) == 1
    cluster.assert_all_is_well()
    member.wait_for_log("Postgres is back", times=3)


@pytest.mark.parametrize("point", POINTS)
def test_session_ended_at_any_point_resumes_from_position(cluster: Cluster, point: str) -> None:
    cluster.watch_positions()
    install_pause(cluster, point)
    member = cluster.start_member(lock_timeout_ms="20000")
    member.wait_for_log("partition claimed", times=3)
    with paused_at(cluster, point):
        cluster.publish(Mix(delegations=60))
        wait_until_paused(cluster)
        before = cluster.projected_records()  # not always 0: a batch without a delegation is not paused in the write
        assert terminate_sessions(cluster) == 1
        assert cluster.projected_records() == before
        assert "terminating connection" in member.wait_for_log("waiting for Postgres")["reason"]
    cluster.assert_all_is_well()
    cluster.assert_outcomes_counted_once()


def test_deadlock_is_retried_and_loses_nothing(cluster: Cluster) -> None:
    """Another writer holds a lock that the rows wait for, and then wants the position that the member holds."""
    cluster.watch_positions()
    install_pause(cluster, "in the write")
    member = cluster.start_member(lock_timeout_ms="20000")
    member.wait_for_log("partition claimed", times=3)
    with psycopg.connect(cluster.database_url) as other:
        other.execute("SET deadlock_timeout = '100s'")  # so that Postgres aborts the member and not this session
        other.execute(LOCKS["in the write"])
        cluster.publish(Mix(delegations=60))
        wait_until_paused(cluster)
        other.execute("SELECT FROM projector.positions FOR UPDATE")  # returns once Postgres has aborted the member
        assert _deadlocks(other) >= 1  # the retry can meet the same lock before this session has it
    cluster.assert_all_is_well()
    cluster.assert_outcomes_counted_once()
    assert "waiting for Postgres" not in member.text()


def _deadlocks(conn: psycopg.Connection) -> int:
    def counted() -> int:
        conn.execute("SELECT pg_stat_clear_snapshot()")
        [row] = conn.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchall()
        return int(row[0])

    return int(wait_until(counted, "the deadlock is counted"))


def test_lock_timeout_delays_but_loses_nothing(cluster: Cluster) -> None:
    cluster.watch_positions()
    install_pause(cluster, "in the write")
    member = cluster.start_member(lock_timeout_ms="200")
    member.wait_for_log("partition claimed", times=3)
    with paused_at(cluster, "in the write"):
        cluster.publish(Mix(delegations=60))
        assert "lock timeout" in member.wait_for_log("waiting for Postgres")["reason"]
        with psycopg.connect(cluster.database_url) as conn:
            assert conn.execute("SELECT count(*) FROM delegations").fetchone() == (0,)
    cluster.assert_all_is_well()
    cluster.assert_outcomes_counted_once()


def test_read_only_database_is_waited_for(cluster: Cluster, tmp_path: Path) -> None:
    """After a failover the address may still lead to the old primary, which is a replica now."""
    cluster.watch_positions()
    health = tmp_path / "health"
    member = cluster.start_member(health_file=str(health))
    member.wait_for_log("partition claimed", times=3)
    wait_until(health.exists, "the first report")
    _set_read_only(cluster, "on")
    terminate_sessions(cluster)
    cluster.publish(Mix(delegations=60))
    wait_until(
        lambda: "read-only transaction" in health.read_text(), "a health report that names the read-only database"
    )
    assert cluster.projected_records() == 0
    _set_read_only(cluster, "off")
    cluster.assert_all_is_well()
    wait_until(lambda: reported_healthy(health), "a green health file")
    cluster.assert_outcomes_counted_once()


def _set_read_only(cluster: Cluster, value: str) -> None:
    with psycopg.connect(cluster.database_url, autocommit=True) as conn:
        conn.execute("SET default_transaction_read_only = off")
        change = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
        conn.execute(change.format(sql.Identifier(conn.info.dbname), sql.SQL(value)))


def test_full_disk_is_waited_for(cluster: Cluster, server: Postgres, tmp_path: Path) -> None:
    cluster.watch_positions()
    with psycopg.connect(server.url, autocommit=True) as conn, _small_disk(tmp_path, conn) as disk:
        conn.execute(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(str(disk)))
        conn.execute("ALTER TABLE delegations SET TABLESPACE small")
        member = cluster.start_member(batch_records="500")
        filler = disk / "filler"
        cluster.publish(Mix(delegations=60))
        cluster.wait_until_caught_up()
        _fill(filler)
        cluster.publish(Mix(delegations=400, seed=8))
        assert "No space left on device" in member.wait_for_log("waiting for Postgres")["reason"]
        filler.unlink()
        cluster.assert_all_is_well()
        cluster.assert_outcomes_counted_once()
        cluster.end()
        server.end()


@contextmanager
def _small_disk(folder: Path, conn: psycopg.Connection) -> Iterator[Path]:
    """A file system of 4 MB that belongs to the user of the Postgres server."""
    disk = folder / "disk"
    disk.mkdir()
    [(data,)] = conn.execute("SHOW data_directory").fetchall()
    owner = f"uid={Path(data).stat().st_uid}" if Path(data).exists() else "uid=0"
    mount = ["mount", "-t", "tmpfs", "-o", f"size=4m,mode=0700,{owner}", "tmpfs", str(disk)]
    if not Path(data).exists() or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a disk that can be filled needs a Postgres of this machine, and the right to mount (root's)")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(os.urandom(4096))
