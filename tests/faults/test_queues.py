"""A large backlog of dead letters or parked events: processed in batches, in bounded memory, and no position moves."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from cluster import Cluster
from commands import Process, environment
from repetitions import Repetition
from rows import CALLEE, CALLER, delegate
from strategies import written

from testbed.workload import Record

MEGABYTES = 250
"""Far more than a process needs for one batch, and far less than it would need for the whole backlog."""


def test_all_dead_letters_are_retried_in_bounded_memory(
    cluster: Cluster, repetition: Repetition, tmp_path: Path
) -> None:
    count = repetition.pick(5_000, 100_000)
    with psycopg.connect(cluster.database_url, autocommit=True) as conn:
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
        peak = _peak_megabytes(["dead-letters", "retry", "--all"], tmp_path, database_url=cluster.database_url)
        assert conn.execute("SELECT count(*) FROM projector.dead_letters").fetchone() == (0,)
        assert conn.execute("SELECT count(*) FROM delegations").fetchone() == (count,)
        assert conn.execute("SELECT next_offset FROM projector.positions").fetchone() == (7,)
    repetition.report(f"{count} dead letters retried, at most {peak} MB")
    assert peak < MEGABYTES


def _peak_megabytes(arguments: list[str], folder: Path, **settings: str) -> int:
    """Run a command that must succeed; return the peak of its memory."""
    with (folder / "output").open("w") as output:
        command = [sys.executable, "-m", "projector", *arguments]
        process = subprocess.Popen(command, env=environment(settings), stdout=output, stderr=output)
    # Not the peak in the resource usage of a child that ended: that one includes the size of the parent at the fork.
    peak = 0
    while process.poll() is None:
        peak = max(peak, _peak_of(process))
        time.sleep(0.01)  # the kernel keeps the peak, so a late reading misses little
    assert process.returncode == 0, (folder / "output").read_text()
    return peak


def test_parked_events_are_applied_in_bounded_memory(cluster: Cluster, repetition: Repetition) -> None:
    """Each delegation has ten parked events. Then all requests arrive at once, in batches of full size."""
    delegations = repetition.pick(2_000, 100_000)
    _park(cluster, delegations, each=10)
    member = cluster.start_member()
    cluster.publish(_requests(delegations))
    cluster.wait_until_caught_up()
    with psycopg.connect(cluster.database_url) as conn:
        assert conn.execute("SELECT count(*) FROM projector.parked").fetchone() == (0,)
        rows = conn.execute("SELECT status, count(*) FROM delegations GROUP BY 1").fetchall()
    assert rows == [("completed", delegations)]
    peak = _peak_of(member.process)
    repetition.report(f"{10 * delegations} parked events applied, at most {peak} MB")
    assert peak < MEGABYTES


def _park(cluster: Cluster, delegations: int, each: int) -> None:
    with psycopg.connect(cluster.database_url) as conn:
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
        yield Record(b"c%d" % n, written(delegate(0, request_body={"delegation_id": f"d-{n}", "task": "apply"})), 0)


def _peak_of(process: Process) -> int:
    """The peak of its memory until now, in MB; 0 after its end, and on systems other than Linux."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return 0
    peaks = [int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM")]
    return max(peaks, default=0)
