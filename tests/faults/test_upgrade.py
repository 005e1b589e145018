"""Two versions at once: a later release, with a migration that nobody knows yet, beside members of the current one."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from cluster import Cluster
from commands import projector

from testbed.workload import Mix

PACKAGES = ("projector", "schema")
HERE = Path(__file__).parents[2]
UP = "ALTER TABLE delegations ADD COLUMN made_up TEXT NOT NULL DEFAULT 'by the later release';"
DOWN = "ALTER TABLE delegations DROP COLUMN made_up;"


@pytest.fixture
def later(tmp_path: Path) -> Path:
    """The folder of a release with one migration more."""
    for package in PACKAGES:
        shutil.copytree(HERE / package, tmp_path / "later" / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "later" / "schema" / "999_made_up.up.sql").write_text(UP)
    (tmp_path / "later" / "schema" / "999_made_up.down.sql").write_text(DOWN)
    return tmp_path / "later"


@contextmanager
def instead(monkeypatch: pytest.MonkeyPatch, later: Path) -> Iterator[None]:
    """Processes that are started within are of that release; its lines are not ours to measure."""
    with monkeypatch.context() as patched:
        patched.setenv("PYTHONSAFEPATH", "1")
        patched.setenv("PYTHONPATH", str(later))
        for measuring in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
            patched.delenv(measuring, raising=False)
        yield


def test_a_later_release_does_not_start_before_its_migration(
    scene: Cluster, later: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.play(Mix(delegations=20))
    with instead(monkeypatch, later):
        early = scene.member()
        assert early.exit_code() == 2
        assert "lacks 999_made_up: run `projector migrate up` first" in early.text()
        assert scene.projected() == 0
        assert projector("migrate", "up", database_url=scene.database_url).code == 0
        scene.member()
    scene.caught_up()
    scene.view_equals_log()


def test_members_of_two_releases_share_the_work_during_a_rolling_upgrade(
    scene: Cluster, later: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.watch_positions()
    old = scene.member(batch_records="50")
    with scene.playing(Mix(delegations=1800), per_second=800):
        old.says("partition claimed", times=3)
        scene.projects_more_than(200)
        with instead(monkeypatch, later):
            assert projector("migrate", "up", database_url=scene.database_url).code == 0
            new = scene.member(batch_records="50")
        new.says("partition claimed")
        scene.projects_more_than(scene.projected() + 200)
        refused = scene.member()  # an old one that starts now, as after a crash
        assert refused.exit_code() == 2
        assert "a newer projector migrated it" in refused.text()
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.nothing_twice()
    with psycopg.connect(scene.database_url) as conn:
        assert conn.execute("SELECT DISTINCT made_up FROM delegations").fetchall() == [("by the later release",)]
