"""Members of the first release on a migrated database: beside members of this one they write what is right, or stop.

`make release-check` runs this file. FIRST_RELEASE is the folder of the programs of an environment with that release.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cluster import Cluster, Member
from rows import CALLER, TEN, Columns, delegate, heartbeat, verdict

from first_release import log, run
from testbed.workload import Mix, Record

PROGRAM = Path(os.environ["FIRST_RELEASE"]) / "projector"


class OldMember(Member):
    """A `projector run` of the first release."""

    def __init__(self, cluster: Cluster, log: Path) -> None:
        self._log = log
        python = ("PYTHON", "COVERAGE")
        environment = {name: value for name, value in cluster.settings().items() if not name.startswith(python)}
        with log.open("ab") as output:
            self.process = subprocess.Popen([str(PROGRAM), "run"], env=environment, cwd=log.parent, stderr=output)


@pytest.fixture
def old(restored: Cluster, tmp_path: Path) -> Iterator[OldMember]:
    """A member that was running when its database was migrated."""
    member = OldMember(restored, tmp_path / "old.log")
    member.wait_for_log("partition claimed", times=3)
    run(restored, "migrate", "up")
    yield member
    member.end()


def row(columns: Columns) -> Record:
    return Record(CALLER.encode(), json.dumps(columns).encode(), int(TEN.timestamp() * 1000))


def query(cluster: Cluster, statement: str, *parameters: Any) -> list[Any]:
    with psycopg.connect(cluster.database_url) as conn:
        found = conn.execute(statement.encode(), parameters)
        return found.fetchall() if found.description else []


def first_edition(seed: int) -> Mix:
    """Without what the second edition of the contract added."""
    return Mix(delegations=40, seed=seed, verdicts=False, wrapped_share=0, numeric_share=0)


def assert_repaired(cluster: Cluster) -> None:
    """What the old member could not read is projected by this release, and nothing else has to be repaired."""
    run(cluster, "dead-letters", "retry", "--all", code=5)
    assert run(cluster, "verify", "--json").json()["drift"] == 0
    cluster.assert_view_equals_log()


def test_old_and_new_members_share_the_work(restored: Cluster, old: OldMember) -> None:
    restored.publish(first_edition(8))
    new = restored.start_member()
    new.wait_for_log("partition claimed")
    restored.publish(first_edition(9))
    restored.wait_until_caught_up()
    assert old.signal(signal.SIGTERM).exit_code() == 0
    assert_repaired(restored)


def test_old_member_does_not_start(restored: Cluster, old: OldMember, tmp_path: Path) -> None:
    late = OldMember(restored, tmp_path / "late.log")
    assert late.exit_code() == 2
    assert "a newer projector migrated it" in late.text()


def test_old_member_applies_no_verdict(restored: Cluster, old: OldMember) -> None:
    restored.publish([row(delegate(0)), row(verdict(20, silent=0, of="d-1"))])
    restored.wait_until_caught_up()
    assert query(restored, "SELECT status FROM delegations WHERE delegation_id = 'd-1'") == [("queued",)]
    assert old.signal(signal.SIGTERM).exit_code() == 0
    restored.start_member()
    assert_repaired(restored)
    assert query(restored, "SELECT status FROM delegations WHERE delegation_id = 'd-1'") == [("stuck",)]


def test_old_member_stops_before_a_parked_verdict(restored: Cluster, old: OldMember) -> None:
    parked = """
        INSERT INTO projector.parked (topic, partition, "offset", delegation_id, kind, status, at, silent_since)
        VALUES (%s, 0, 0, 'd-1', 'verdict', 'stuck', now(), now())
    """
    query(restored, parked, restored.topic)
    restored.publish([row(delegate(0)), row(heartbeat(1))])
    assert old.exit_code() == 2
    assert "a verdict is parked for delegation d-1, and this release of the projector cannot read it" in old.text()
    assert query(restored, "SELECT FROM delegations WHERE delegation_id = 'd-1'") == []


def test_old_member_stops_before_an_end_that_is_pushed(restored: Cluster, old: OldMember) -> None:
    query(restored, "INSERT INTO projector.push VALUES (%s, '2000-01-01')", restored.topic)
    query(restored, "INSERT INTO projector.push_from SELECT topic, partition, next_offset FROM projector.positions")
    positions = restored.positions()
    restored.publish(first_edition(8))
    assert old.exit_code() == 1
    assert "are pushed, and this release of the projector cannot do that: upgrade this process" in old.text()
    assert restored.positions() == positions
    restored.start_member()
    restored.wait_until_caught_up()
    assert_repaired(restored)


def test_old_member_brings_no_pruned_row_back(restored: Cluster, old: OldMember) -> None:
    run(restored, "prune", "--ended-before", "1d", "--yes")
    [(left,)] = query(restored, "SELECT count(*) FROM delegations")
    assert left < 20
    restored.publish([Record(each.key or b"", each.value, each.timestamp or 0) for each in log()])
    restored.wait_until_caught_up()
    assert query(restored, "SELECT count(*) FROM delegations") == [(left,)]
