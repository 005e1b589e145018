"""`projector run --members N`: one command, several real processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cluster import Cluster, Member, wait_until
from commands import run_projector
from kafka import KafkaAdminClient
from kafka.structs import TopicPartition

from testbed.workload import Mix


def started(parent: Member) -> list[int]:
    """Return the process ids of the members, when each of them has partitions."""
    processes: list[int] = parent.wait_for_log("members started")["pids"]
    parent.wait_for_log("partitions assigned", times=len(processes))
    return processes


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def owners(cluster: Cluster) -> set[Any]:
    with psycopg.connect(cluster.database_url) as conn:
        return {member for (member,) in conn.execute("SELECT DISTINCT member FROM projector.positions")}


def test_members_share_the_partitions(cluster: Cluster) -> None:
    parent = cluster.start_member("--members", "2")
    processes = started(parent)
    wait_until(
        lambda: {str(name).rpartition("/")[2] for name in owners(cluster)} == set(map(str, processes)), "two owners"
    )
    cluster.publish(Mix(delegations=300))
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()


def test_sigterm_stops_every_member_and_exits_with_0(cluster: Cluster) -> None:
    cluster.publish(Mix(delegations=500))
    parent = cluster.start_member("--members", "2", batch_records="10")
    processes = started(parent)
    wait_until(cluster.projected_records, "a first batch")
    parent.signal(signal.SIGTERM)
    assert parent.exit_code() == 0
    assert [line["message"] for line in parent.lines()].count("stopped") == 2
    assert owners(cluster) == {None}
    assert not any(map(is_alive, processes))
    cluster.start_member("--members", "2")
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()


def test_killed_member_stops_the_others(cluster: Cluster) -> None:
    parent = cluster.start_member("--members", "3")
    first, second, third = started(parent)
    os.kill(second, signal.SIGKILL)
    assert parent.exit_code() == 1
    assert f"member 2 (process {second}) was ended by SIGKILL; the others were stopped" in parent.text()
    assert [line["message"] for line in parent.lines()].count("stopped") == 2
    assert not is_alive(first)
    assert not is_alive(third)


def test_killed_parent_leaves_no_member(cluster: Cluster) -> None:
    parent = cluster.start_member("--members", "2")
    processes = started(parent)
    parent.kill()
    wait_until(lambda: not any(map(is_alive, processes)), "the end of both members")
    assert [line["message"] for line in parent.lines()].count("stopped") == 2


def test_sigterm_ends_members_that_wait_for_each_other(cluster: Cluster) -> None:
    """Member 3 never comes, and the others would wait for a thousand seconds."""
    script = """
import signal, sys, time
from projector.cli import run
from projector.process import barrier
from projector.worker import supervisor
barrier._SECONDS, run_one, wait = 1000, run._run_member, barrier.Barrier.wait
def announced(self, is_stopping):
    print("waiting", flush=True)
    wait(self, is_stopping)
def member(settings, at):
    if settings.group_instance_id == "me-3":
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(1000)
    barrier.Barrier.wait = announced
    return run_one(settings, at)
run._run_member = member
from projector.cli.main import main
sys.exit(main(["run", "--members", "3"]))
"""
    settings = cluster.settings(group_instance_id="me")
    command, pipe = [sys.executable, "-c", script], subprocess.PIPE
    with subprocess.Popen(command, env=settings, stdout=pipe, stderr=pipe) as parent:
        assert parent.stdout
        assert [parent.stdout.readline() for _ in range(2)] == [b"waiting\n"] * 2
        parent.terminate()
        _, log = parent.communicate(timeout=50)
    assert parent.returncode == 0
    assert b'"stopped"' in log
    assert b"partitions assigned" not in log


def test_signal_to_an_ending_member_keeps_the_exit_code() -> None:
    """The member does not handle signals: it has ended its work, or has not started it."""
    script = """
import sys, time
from projector.worker.supervisor import run_members
sys.exit(run_members(2, lambda number, _: 4 if number == 1 else time.sleep(60), None))
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=50, check=False).returncode == 4


def test_log_gap_ends_all_members_with_4(cluster: Cluster) -> None:
    cluster.publish(Mix(delegations=100))
    cluster.start_member("--members", "2")
    cluster.wait_until_caught_up()
    cluster.end()
    admin = KafkaAdminClient(bootstrap_servers=cluster.bootstrap_servers)
    admin.delete_records({TopicPartition(cluster.topic, place): -1 for place in cluster.end_offsets()})
    admin.close()
    with psycopg.connect(cluster.database_url, autocommit=True) as conn:
        conn.execute("UPDATE projector.positions SET next_offset = 1")
    parent = cluster.start_member("--members", "2")
    assert parent.exit_code() == 4
    assert "deleted by retention before" in parent.text()


def test_health_file_is_healthy_while_all_members_are(cluster: Cluster, tmp_path: Path) -> None:
    health = tmp_path / "health"
    parent = cluster.start_member("--members", "2", health_file=str(health), group_instance_id="me")
    processes = started(parent)
    wait_until(lambda: run_projector("health", health_file=str(health)).code == 0, "a healthy report")
    os.kill(processes[1], signal.SIGSTOP)
    (tmp_path / "health.2").write_text('{"at": 0, "healthy": true, "state": "projecting"}')
    reason = wait_until(lambda: _reason(health), "an unhealthy report")
    os.kill(processes[1], signal.SIGCONT)
    assert "member 2: the last report is" in reason
    parent.signal(signal.SIGTERM)
    assert parent.exit_code() == 0
    assert _reason(health) == _reason(tmp_path / "health.1") == "projector: stopped\n"


@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_fewer_than_one_member_is_refused(number: str) -> None:
    result = run_projector("run", "--members", number)
    assert result.code == 2
    assert "from 1 on" in result.err


def _reason(health: Path) -> str:
    result = run_projector("health", health_file=str(health))
    return result.err if result.code else ""


def test_first_process_that_ends_deletes_no_report_of_the_others(empty_url: str) -> None:
    """The folder of their reports is the parent's."""
    done = run_projector(
        "run", "--members", "3", database_url=empty_url, bootstrap_servers="127.0.0.1:1", http_address="127.0.0.1:0"
    )
    assert done.code == 2
    assert "run `projector migrate up` first" in done.err
    assert "PROJECTOR_HEALTH_FILE" not in done.err
