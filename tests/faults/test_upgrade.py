"""Two releases at once: a later one, with a migration that the current one does not have, beside current members."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from cluster import Cluster
from commands import projector
from under_load import under_load

from testbed.workload import Mix

FOLDERS = ("projector", "schema")
ROOT = Path(__file__).parents[2]
UP = "ALTER TABLE delegations ADD COLUMN added TEXT NOT NULL DEFAULT 'by the later release';"
DOWN = "ALTER TABLE delegations DROP COLUMN added;"


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """The folder of a release with one more migration."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / "later" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "later" / "schema" / "999_added.up.sql").write_text(UP)
    (tmp_path / "later" / "schema" / "999_added.down.sql").write_text(DOWN)
    return tmp_path / "later"


@contextmanager
def release(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """Processes that the block starts are of the release in this folder; their coverage is not measured."""
    with monkeypatch.context() as patched:
        patched.setenv("PYTHONSAFEPATH", "1")
        patched.setenv("PYTHONPATH", str(folder))
        for variable in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
            patched.delenv(variable, raising=False)
        yield


def test_later_release_needs_its_migration_to_start(
    scene: Cluster, later: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.play(Mix(delegations=20))
    with release(monkeypatch, later):
        early = scene.member()
        assert early.exit_code() == 2
        assert "lacks 999_added: run `projector migrate up` first" in early.text()
        assert scene.projected() == 0
        assert projector("migrate", "up", database_url=scene.database_url).code == 0
        scene.member()
    scene.caught_up()
    scene.view_equals_log()


def test_two_releases_share_work_in_a_rolling_upgrade(
    scene: Cluster, later: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.watch_positions()
    current = scene.member(batch_records="50")
    with under_load(scene, per_second=400):
        current.says("partition claimed", times=3)
        scene.projects_more_than(200)
        with release(monkeypatch, later):
            assert projector("migrate", "up", database_url=scene.database_url).code == 0
            new = scene.member(batch_records="50")
        new.says("partition claimed")
        scene.projects_more_than(scene.projected() + 200)
        restarted = scene.member()  # of the current release, as after a crash
        assert restarted.exit_code() == 2
        assert "A newer projector migrated it" in restarted.text()
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.nothing_twice()
    with psycopg.connect(scene.database_url) as conn:
        assert conn.execute("SELECT DISTINCT added FROM delegations").fetchall() == [("by the later release",)]
