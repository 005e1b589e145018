"""A Postgres that restarts, ends sessions, refuses writes, deadlocks or is full: a delay, and never a dead letter."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from cluster import Cluster, until
from pausing import LOCKS, POINTS, end_sessions, halting, prepare, until_halted
from psycopg import sql
from under_load import under_load

from projector.postgres import migrations
from testbed.servers.start import Postgres, start_postgres
from testbed.workload import Mix


@pytest.fixture
def server(scene: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A Postgres of the test's own, with the schema. It may be stopped; the machine does not crash, hence no fsync."""
    with start_postgres(tmp_path_factory.mktemp("own"), own=True, options=["fsync=off"]) as server:
        with psycopg.connect(server.url) as conn:
            migrations.up(conn)
        scene.database_url = server.url
        yield server
        scene.end()


def all_is_well(scene: Cluster) -> None:
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.nothing_twice()


def test_restarts_of_postgres_under_load_lose_nothing(scene: Cluster, server: Postgres) -> None:
    """One immediate shutdown, after which Postgres recovers, and one fast shutdown."""
    scene.watch_positions()
    scene.member()
    with under_load(scene, per_second=800):
        scene.projects_more_than(300)
        server.restart("immediate")
        scene.projects_more_than(scene.projected() + 300)
        server.restart("fast")
    all_is_well(scene)
    scene.end()


def test_session_ended_in_a_batch_is_reopened(scene: Cluster) -> None:
    scene.watch_positions()
    member = scene.member(batch_records="50")
    with under_load(scene, per_second=800):
        for _ in range(3):
            scene.projects_more_than(scene.projected() + 100)
            assert end_sessions(scene) == 1
    all_is_well(scene)
    member.says("Postgres is back", times=3)


@pytest.mark.parametrize("point", POINTS)
def test_session_ended_at_any_point_resumes_from_position(scene: Cluster, point: str) -> None:
    scene.watch_positions()
    prepare(scene, point)
    member = scene.member(lock_timeout_ms="20000")
    member.says("partition claimed", times=3)
    with halting(scene, point):
        scene.play(Mix(delegations=60))
        until_halted(scene)
        before = scene.projected()  # not always 0: a batch without a delegation is not halted in the write
        assert end_sessions(scene) == 1
        assert scene.projected() == before
        assert "terminating connection" in member.says("waiting for Postgres")["reason"]
    all_is_well(scene)
    scene.each_ended_once()


def test_deadlock_is_retried_and_loses_nothing(scene: Cluster) -> None:
    """Another writer holds a lock that the rows wait for, and then wants the position that the member holds."""
    scene.watch_positions()
    prepare(scene, "in the write")
    member = scene.member(lock_timeout_ms="20000")
    member.says("partition claimed", times=3)
    with psycopg.connect(scene.database_url) as other:
        other.execute("SET deadlock_timeout = '100s'")  # so that Postgres aborts the member and not this session
        other.execute(LOCKS["in the write"])
        scene.play(Mix(delegations=60))
        until_halted(scene)
        other.execute("SELECT FROM projector.positions FOR UPDATE")  # returns once Postgres has aborted the member
        assert _deadlocks(other) == 1
    all_is_well(scene)
    scene.each_ended_once()
    assert "waiting for Postgres" not in member.text()


def _deadlocks(conn: psycopg.Connection) -> int:
    def counted() -> int:
        conn.execute("SELECT pg_stat_clear_snapshot()")
        [row] = conn.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchall()
        return int(row[0])

    return int(until(counted, "the deadlock is counted"))


def test_lock_timeout_delays_but_loses_nothing(scene: Cluster) -> None:
    scene.watch_positions()
    prepare(scene, "in the write")
    member = scene.member(lock_timeout_ms="200")
    member.says("partition claimed", times=3)
    with halting(scene, "in the write"):
        scene.play(Mix(delegations=60))
        assert "lock timeout" in member.says("waiting for Postgres")["reason"]
        with psycopg.connect(scene.database_url) as conn:
            assert conn.execute("SELECT count(*) FROM delegations").fetchone() == (0,)
    all_is_well(scene)
    scene.each_ended_once()


def test_read_only_database_is_waited_for(scene: Cluster, tmp_path: Path) -> None:
    """After a failover the address may still lead to the old primary, which is a replica now."""
    scene.watch_positions()
    health = tmp_path / "health"
    member = scene.member(health_file=str(health))
    member.says("partition claimed", times=3)
    _set_read_only(scene, "on")
    end_sessions(scene)
    scene.play(Mix(delegations=60))
    until(lambda: "read-only transaction" in health.read_text(), "a health report that names the read-only database")
    assert scene.projected() == 0
    _set_read_only(scene, "off")
    all_is_well(scene)
    until(lambda: '"healthy": true' in health.read_text(), "a green health file")
    scene.each_ended_once()


def _set_read_only(scene: Cluster, value: str) -> None:
    with psycopg.connect(scene.database_url, autocommit=True) as conn:
        conn.execute("SET default_transaction_read_only = off")
        change = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
        conn.execute(change.format(sql.Identifier(conn.info.dbname), sql.SQL(value)))


def test_full_disk_is_waited_for(scene: Cluster, server: Postgres, tmp_path: Path) -> None:
    scene.watch_positions()
    with psycopg.connect(server.url, autocommit=True) as conn, _small_disk(tmp_path, conn) as disk:
        conn.execute(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(str(disk)))
        conn.execute("ALTER TABLE delegations SET TABLESPACE small")
        member = scene.member(batch_records="500")
        filler = disk / "filler"
        scene.play(Mix(delegations=60))
        scene.caught_up()
        _fill(filler)
        scene.play(Mix(delegations=400, seed=8))
        assert "No space left on device" in member.says("waiting for Postgres")["reason"]
        filler.unlink()
        all_is_well(scene)
        scene.each_ended_once()
        scene.end()
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
