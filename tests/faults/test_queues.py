"""What has piled up is taken up at once: piece by piece, within a bound of memory, and no position moves for it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from cluster import Cluster
from commands import Process, environment
from repetitions import Round
from rows import CALLEE, CALLER, delegate
from strategies import written

from testbed.workload import Record

MEGABYTES = 250
"""Far more than a process needs that takes a piece at a time, and far less than all of it at once."""


def test_dead_letters_retried_all_at_once_are_taken_piece_by_piece(
    scene: Cluster, chance: Round, tmp_path: Path
) -> None:
    count = chance.of(5_000, 100_000)
    with psycopg.connect(scene.database_url, autocommit=True) as conn:
        conn.execute(
            """
            INSERT INTO projector.dead_letters (topic, partition, "offset", key, value, reason)
            SELECT 'activity-log', n %% 3, n, NULL, convert_to(json_build_object(
                       'activity_type', 'delegation', 'method', 'delegate', 'status', 'pending',
                       'workspace_id', %(caller)s::text, 'target_id', %(callee)s::text,
                       'created_at', '2025-05-05T10:00:00Z', 'request_body',
                       json_build_object('delegation_id', 'd-' || n, 'task', repeat('long ', 600)))::text, 'UTF8'),
                   'an older release could not read it'
              FROM generate_series(1, %(count)s) n
            """,
            {"caller": CALLER, "callee": CALLEE, "count": count},
        )
        conn.execute("INSERT INTO projector.positions (topic, partition, next_offset) VALUES ('activity-log', 0, 7)")
        peak = _peak_megabytes(["dead-letters", "retry", "--all"], tmp_path, database_url=scene.database_url)
        assert conn.execute("SELECT count(*) FROM projector.dead_letters").fetchone() == (0,)
        assert conn.execute("SELECT count(*) FROM delegations").fetchone() == (count,)
        assert conn.execute("SELECT next_offset FROM projector.positions").fetchone() == (7,)
    chance.note(f"{count} dead letters retried, at most {peak} MB")
    assert peak < MEGABYTES


def _peak_megabytes(arguments: list[str], folder: Path, **settings: str) -> int:
    """Run a command to its good end; the most memory that it ever had."""
    with (folder / "said").open("w") as said:
        command = [sys.executable, "-m", "projector", *arguments]
        process = subprocess.Popen(command, env=environment(settings), stdout=said, stderr=said)
    # Not what the system tells of an ended child: that begins with the size of the process that forked it.
    peak = 0
    while process.poll() is None:
        peak = max(peak, _peak_of(process))
        time.sleep(0.01)  # until the next look: a peak only grows
    assert process.returncode == 0, (folder / "said").read_text()
    return peak


def test_events_parked_by_the_many_are_healed_batch_by_batch(scene: Cluster, chance: Round) -> None:
    """Ten of each delegation wait; then the requests come, as many to a batch as there are."""
    delegations = chance.of(2_000, 100_000)
    _park(scene, delegations, each=10)
    member = scene.member()
    scene.play(_requests(delegations))
    scene.caught_up()
    with psycopg.connect(scene.database_url) as conn:
        assert conn.execute("SELECT count(*) FROM projector.parked").fetchone() == (0,)
        healed = conn.execute("SELECT status, count(*) FROM delegations GROUP BY 1").fetchall()
    assert healed == [("completed", delegations)]
    peak = _peak_of(member.process)
    chance.note(f"{10 * delegations} parked events healed, at most {peak} MB")
    assert peak < MEGABYTES


def _park(scene: Cluster, delegations: int, each: int) -> None:
    with psycopg.connect(scene.database_url) as conn:
        conn.execute(
            """
            INSERT INTO projector.parked (topic, partition, "offset", delegation_id, kind, status, at, result_preview)
            SELECT 'elsewhere', 0, d * %(each)s + e, 'd-' || d, 'status',
                   CASE e WHEN %(each)s THEN 'completed' ELSE 'in_progress' END,
                   '2025-05-05T10:00:00Z', CASE e WHEN %(each)s THEN repeat('done ', 100) END
              FROM generate_series(1, %(delegations)s) d, generate_series(1, %(each)s) e
             ORDER BY e
            """,
            {"delegations": delegations, "each": each},
        )


def _requests(count: int) -> Iterator[Record]:
    for n in range(1, count + 1):
        yield Record(b"c%d" % n, written(delegate(0, request_body={"delegation_id": f"d-{n}", "task": "heal"})), 0)


def _peak_of(process: Process) -> int:
    """The most MB that it had so far; 0 where nobody tells, which is on other systems than Linux, and at its end."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return 0
    found = [int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM")]
    return max(found, default=0)
