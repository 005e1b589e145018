"""Restored backups: positions and rows of different moments, or no positions at all."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString

import psycopg
import pytest
from cluster import Cluster
from commands import run_projector
from psycopg import sql

from testbed.workload import Mix

DAMAGE: dict[str, LiteralString] = {
    "older": "UPDATE projector.positions SET next_offset = next_offset / 2, owner = NULL",
    "lost": "DELETE FROM projector.positions",
}


def project_all(cluster: Cluster) -> None:
    """Start a member, and stop it at the end of the log; it leaves the group, so the next one need not wait for it."""
    member = cluster.start_member()
    cluster.wait_until_caught_up()
    assert member.signal(signal.SIGTERM).exit_code() == 0


def versions(cluster: Cluster) -> list[tuple[object, ...]]:
    """Every row, with the transaction that wrote it."""
    with psycopg.connect(cluster.database_url) as conn:
        return conn.execute("SELECT d.*, d.xmin::text FROM delegations d ORDER BY delegation_id").fetchall()


@pytest.mark.parametrize("positions", DAMAGE)
def test_older_or_lost_positions_change_no_row(cluster: Cluster, positions: str) -> None:
    cluster.publish(Mix(delegations=100))
    project_all(cluster)
    before = versions(cluster)
    with psycopg.connect(cluster.database_url) as conn:
        conn.execute(DAMAGE[positions])
    project_all(cluster)
    assert versions(cluster) == before
    cluster.assert_view_equals_log()
    cluster.assert_nothing_dropped()


def test_database_restored_from_a_backup_catches_up(cluster: Cluster) -> None:
    """Rows and positions are of one moment. The newer offsets that the group holds are not used."""
    cluster.publish(Mix(delegations=60))
    project_all(cluster)
    with backup(cluster) as restored_url:
        cluster.publish(Mix(delegations=60, seed=8))
        project_all(cluster)
        cluster.database_url = restored_url
        project_all(cluster)
        cluster.assert_view_equals_log()
        cluster.assert_nothing_dropped()


@contextmanager
def backup(cluster: Cluster) -> Iterator[str]:
    """A copy of the database as it is now."""
    original = str(psycopg.conninfo.conninfo_to_dict(cluster.database_url)["dbname"])
    copy = f"{original}_backup"
    with psycopg.connect(cluster.database_url.replace(original, "postgres"), autocommit=True) as conn:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        conn.execute(statement.format(sql.Identifier(copy), sql.Identifier(original)))
        yield cluster.database_url.replace(original, copy)
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(copy)))


def test_rows_older_than_positions_are_found_and_repaired(cluster: Cluster) -> None:
    cluster.publish(Mix(delegations=60))
    cluster.start_member()
    cluster.wait_until_caught_up()
    with psycopg.connect(cluster.database_url) as conn:
        conn.execute("CREATE TABLE backup AS TABLE delegations")
    cluster.publish(Mix(delegations=60, seed=8))
    cluster.wait_until_caught_up()
    with psycopg.connect(cluster.database_url) as conn:
        conn.execute("DELETE FROM delegations")
        conn.execute("INSERT INTO delegations SELECT * FROM backup")
    settings = {name: getattr(cluster, name) for name in ("database_url", "bootstrap_servers", "topic")}
    assert run_projector("verify", **settings).code == 3
    assert run_projector("rebuild", **settings).code == 0
    cluster.assert_view_equals_log()
