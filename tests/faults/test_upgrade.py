"""Two releases at once: a later one, with a migration that the current one does not have, beside current members."""

import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from cluster import Cluster
from commands import run_projector
from rows import CALLER, TEN, Columns, delegate, heartbeat, verdict
from under_load import under_load

from testbed.workload import Mix, Record

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
    cluster: Cluster, later: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.publish(Mix(delegations=20))
    with release(monkeypatch, later):
        early = cluster.start_member()
        assert early.exit_code() == 2
        assert "lacks 999_added: run `projector migrate up` first" in early.text()
        assert cluster.projected_records() == 0
        assert run_projector("migrate", "up", database_url=cluster.database_url).code == 0
        cluster.start_member()
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()


def test_two_releases_share_work_in_a_rolling_upgrade(
    cluster: Cluster, later: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.watch_positions()
    current = cluster.start_member(batch_records="50")
    with under_load(cluster, per_second=400):
        current.wait_for_log("partition claimed", times=3)
        cluster.wait_until_more_projected_than(200)
        with release(monkeypatch, later):
            assert run_projector("migrate", "up", database_url=cluster.database_url).code == 0
            new = cluster.start_member(batch_records="50")
        new.wait_for_log("partition claimed")
        cluster.wait_until_more_projected_than(cluster.projected_records() + 200)
        restarted = cluster.start_member()  # of the current release, as after a crash
        assert restarted.exit_code() == 2
        assert "A newer projector migrated it" in restarted.text()
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    cluster.assert_nothing_dropped()
    cluster.assert_projected_once()
    with psycopg.connect(cluster.database_url) as conn:
        assert conn.execute("SELECT DISTINCT added FROM delegations").fetchall() == [("by the later release",)]


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The folder of a release that reads no verdicts, as the one before migration 052."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / "before" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    package = tmp_path / "before" / "projector"
    replace(package / "contract" / "translate.py", 'method == "verdict"', 'method == "no such method"')
    replace(package / "postgres" / "write_batch.sql", "PERFORM set_config('projector.reads_verdicts', 'on', true);", "")
    return tmp_path / "before"


def row(columns: Columns) -> Record:
    return Record(CALLER.encode(), json.dumps(columns).encode(), int(TEN.timestamp() * 1000))


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_member_that_reads_no_verdicts_never_applies_one(
    cluster: Cluster, before: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.publish([row(verdict(20, silent=0, of="d-1"))])
    member = cluster.start_member()
    cluster.wait_until_caught_up()
    assert member.signal(signal.SIGTERM).exit_code() == 0
    cluster.publish([row(verdict(21, silent=0, of="d-2")), row(delegate(0)), row(heartbeat(30))])
    with release(monkeypatch, before):
        old = cluster.start_member()
        waiting = old.wait_for_log("waiting for Postgres")
    assert "a verdict is parked for delegation d-1, and this release of the projector cannot read" in waiting["reason"]
    with psycopg.connect(cluster.database_url) as conn:
        assert conn.execute("SELECT * FROM delegations").fetchall() == []
        assert conn.execute("SELECT field FROM projector.dead_letters").fetchall() == [("method",)]
    old.kill()
    cluster.start_member()
    cluster.publish([row(delegate(0, request_body={"delegation_id": "d-2"}))])
    cluster.wait_until_caught_up()
    healed = run_projector("dead-letters", "retry", "--all", database_url=cluster.database_url, topic=cluster.topic)
    assert healed.code == 0, healed.err
    with psycopg.connect(cluster.database_url) as conn:
        statuses = conn.execute("SELECT delegation_id, status FROM delegations ORDER BY 1").fetchall()
    assert statuses == [("d-1", "stuck"), ("d-2", "stuck")]
    cluster.assert_view_equals_log()


@pytest.fixture
def before_push(tmp_path: Path) -> Path:
    """The folder of a release that pushes no results, as the one before migration 055."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / "before" / folder, ignore=shutil.ignore_patterns("__pycache__"))
    statement = """conn.execute("SELECT set_config('projector.knows_push', 'on', false)")"""
    replace(tmp_path / "before" / "projector" / "postgres" / "write_batch.py", statement, "")
    return tmp_path / "before"


def test_member_that_cannot_push_passes_no_end(
    cluster: Cluster, before_push: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.publish(Mix(delegations=20))
    with release(monkeypatch, before_push):
        old = cluster.start_member()
        cluster.wait_until_caught_up()
    with psycopg.connect(cluster.database_url) as conn:
        conn.execute("INSERT INTO projector.push VALUES (%s, '2000-01-01')", [cluster.topic])
        conn.execute("INSERT INTO projector.push_from SELECT topic, partition, next_offset FROM projector.positions")
    before = cluster.positions()
    cluster.publish(Mix(delegations=60, seed=8))
    assert "are pushed, and this release of the projector cannot do that" in old.wait_for_log("fenced")["reason"]
    assert cluster.positions() == before
    cluster.start_member(result_push="inbox")
    assert old.signal(signal.SIGTERM).exit_code() == 0
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    with psycopg.connect(cluster.database_url) as conn:
        untold = conn.execute(
            """
            SELECT e.delegation_id FROM projector.ends e JOIN delegations d USING (delegation_id, status)
             WHERE NOT EXISTS (SELECT FROM projector.outbox o WHERE o.delegation_id = e.delegation_id)
            """
        ).fetchall()
        queued = conn.execute("SELECT count(*) FROM projector.outbox").fetchall()
    assert untold == []
    assert queued[0][0] > 20
