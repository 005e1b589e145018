"""Restored backups: positions and rows of different moments, or no positions at all."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString

import psycopg
import pytest
from cluster import Cluster
from commands import projector
from psycopg import sql

from testbed.workload import Mix

DAMAGE: dict[str, LiteralString] = {
    "older": "UPDATE projector.positions SET next_offset = next_offset / 2, owner = NULL",
    "lost": "DELETE FROM projector.positions",
}


def project_all(scene: Cluster) -> None:
    """Start a member, and stop it at the end of the log; it leaves the group, so the next one need not wait for it."""
    member = scene.member()
    scene.caught_up()
    assert member.signal(signal.SIGTERM).exit_code() == 0


def versions(scene: Cluster) -> list[tuple[object, ...]]:
    """Every row, with the transaction that wrote it."""
    with psycopg.connect(scene.database_url) as conn:
        return conn.execute("SELECT d.*, d.xmin::text FROM delegations d ORDER BY delegation_id").fetchall()


@pytest.mark.parametrize("positions", DAMAGE)
def test_older_or_lost_positions_change_no_row(scene: Cluster, positions: str) -> None:
    scene.play(Mix(delegations=100))
    project_all(scene)
    before = versions(scene)
    with psycopg.connect(scene.database_url) as conn:
        conn.execute(DAMAGE[positions])
    project_all(scene)
    assert versions(scene) == before
    scene.view_equals_log()
    scene.nothing_dropped()


def test_database_restored_from_a_backup_catches_up(scene: Cluster) -> None:
    """Rows and positions are of one moment. The newer offsets that the group holds are not used."""
    scene.play(Mix(delegations=60))
    project_all(scene)
    with backup(scene) as restored_url:
        scene.play(Mix(delegations=60, seed=8))
        project_all(scene)
        scene.database_url = restored_url
        project_all(scene)
        scene.view_equals_log()
        scene.nothing_dropped()


@contextmanager
def backup(scene: Cluster) -> Iterator[str]:
    """A copy of the database as it is now."""
    original = str(psycopg.conninfo.conninfo_to_dict(scene.database_url)["dbname"])
    copy = f"{original}_backup"
    with psycopg.connect(scene.database_url.replace(original, "postgres"), autocommit=True) as conn:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        conn.execute(statement.format(sql.Identifier(copy), sql.Identifier(original)))
        yield scene.database_url.replace(original, copy)
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(copy)))


def test_rows_older_than_positions_are_found_and_repaired(scene: Cluster) -> None:
    scene.play(Mix(delegations=60))
    scene.member()
    scene.caught_up()
    with psycopg.connect(scene.database_url) as conn:
        conn.execute("CREATE TABLE backup AS TABLE delegations")
    scene.play(Mix(delegations=60, seed=8))
    scene.caught_up()
    with psycopg.connect(scene.database_url) as conn:
        conn.execute("DELETE FROM delegations")
        conn.execute("INSERT INTO delegations SELECT * FROM backup")
    settings = {name: getattr(scene, name) for name in ("database_url", "bootstrap_servers", "topic")}
    assert projector("verify", **settings).code == 3
    assert projector("rebuild", **settings).code == 0
    scene.view_equals_log()
