"""Two versions at once: a later release, with a migration that nobody knows yet, beside members of the current one."""

import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from commands import Ended, environment
from scene import Scene

from projector.demo.platform import Mix

PACKAGES = ("projector", "events", "schema")
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


def instead(later: Path) -> dict[str, str]:
    """What makes Python take that release; its lines are not ours to measure."""
    return {
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": str(later),
        "COVERAGE_PROCESS_CONFIG": "",
        "COVERAGE_PROCESS_START": "",
    }


def migrate(scene: Scene, later: Path, *arguments: str) -> Ended:
    command = [sys.executable, "-m", "projector.cli", "migrate", *arguments]
    settings = environment({"database_url": scene.database_url}) | instead(later)
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=60)
    return Ended(done.returncode, done.stdout, done.stderr)


def test_a_later_release_does_not_start_before_its_migration(
    scene: Scene, later: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in instead(later).items():
        monkeypatch.setenv(name, value)
    scene.play(Mix(delegations=20))
    early = scene.member()
    assert early.exit_code() == 2
    assert "lacks 999_made_up: run `projector migrate up` first" in early.text()
    assert scene.projected() == 0
    assert migrate(scene, later, "up").code == 0
    scene.member()
    scene.caught_up()
    scene.view_equals_log()


def test_members_of_two_releases_share_the_work_during_a_rolling_upgrade(
    scene: Scene, later: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.watch_positions()
    old = scene.member(batch_records="50")
    with scene.playing(Mix(delegations=600), per_second=800):
        old.says("partition claimed", times=3)
        scene.projects_more_than(200)
        assert migrate(scene, later, "up").code == 0
        with monkeypatch.context() as other:
            for name, value in instead(later).items():
                other.setenv(name, value)
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
