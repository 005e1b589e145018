"""Backups that were restored: positions and rows that are not of the same moment, or no positions at all."""

from typing import LiteralString

import psycopg
import pytest
from cluster import Cluster
from commands import projector
from psycopg import sql

from testbed.workload import Mix

BACK: dict[str, LiteralString] = {
    "older": "UPDATE projector.positions SET next_offset = next_offset / 2, owner = NULL",
    "lost": "DELETE FROM projector.positions",
}


@pytest.fixture
def projected(scene: Cluster) -> Cluster:
    """All is projected, and nobody runs."""
    scene.play(Mix(delegations=300))
    scene.member()
    scene.caught_up()
    scene.end()
    return scene


def rows(scene: Cluster) -> list[tuple[object, ...]]:
    """Every row with its version."""
    with psycopg.connect(scene.database_url) as conn:
        return conn.execute("SELECT d.*, d.xmin::text FROM delegations d ORDER BY delegation_id").fetchall()


@pytest.mark.parametrize("positions", BACK)
def test_positions_that_are_older_than_the_rows_are_made_up_for_without_a_change(
    projected: Cluster, positions: str
) -> None:
    before = rows(projected)
    with psycopg.connect(projected.database_url) as conn:
        conn.execute(BACK[positions])
    projected.member()
    projected.caught_up()
    assert rows(projected) == before
    projected.view_equals_log()
    projected.nothing_dropped()


def test_a_database_restored_from_yesterday_is_brought_up_to_today(scene: Cluster) -> None:
    """Rows and positions are of one moment; what the group was told since then counts for nothing."""
    scene.play(Mix(delegations=100))
    scene.member()
    scene.caught_up()
    scene.end()
    today = psycopg.conninfo.conninfo_to_dict(scene.database_url)["dbname"]
    yesterday = f"{today}_yesterday"
    maintenance = scene.database_url.replace(str(today), "postgres")
    with psycopg.connect(maintenance, autocommit=True) as conn:
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        conn.execute(copy.format(sql.Identifier(yesterday), sql.Identifier(str(today))))
        scene.play(Mix(delegations=100, seed=8))
        scene.member()
        scene.caught_up()
        scene.end()
        scene.database_url = scene.database_url.replace(str(today), yesterday)
        scene.member()
        scene.caught_up()
        scene.view_equals_log()
        scene.nothing_dropped()
        scene.end()
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(yesterday)))


def test_rows_that_are_older_than_the_positions_are_found_by_verify_and_mended_by_rebuild(scene: Cluster) -> None:
    scene.play(Mix(delegations=100))
    scene.member()
    scene.caught_up()
    with psycopg.connect(scene.database_url) as conn:
        conn.execute("CREATE TABLE yesterday AS TABLE delegations")
    scene.play(Mix(delegations=100, seed=8))
    scene.caught_up()
    with psycopg.connect(scene.database_url) as conn:
        conn.execute("DELETE FROM delegations")
        conn.execute("INSERT INTO delegations SELECT * FROM yesterday")
    settings = {name: getattr(scene, name) for name in ("database_url", "bootstrap_servers", "topic")}
    assert projector("verify", **settings).code == 3
    assert projector("rebuild", **settings).code == 0
    assert projector("verify", **settings).code == 0
    scene.view_equals_log()
