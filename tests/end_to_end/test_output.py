"""Outputs that cannot be written, and terminals that are not UTF-8: one sentence, and never a traceback."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import psycopg
import pytest
from cluster import Cluster, wait_until
from commands import TIMEOUT_SECONDS, environment, run_projector, start
from replaying import REQUEST, recording, replay_letters
from rows import CALLER, delegate

from testbed.workload import Record

FULL = "projector: standard output cannot be written: No space left on device\n"
CLOSED = "projector: standard output cannot be written: Broken pipe\n"

WITHOUT_SERVERS = ("--help", "--version", "config", "replay --help")
WITH_POSTGRES = (
    "migrate up",
    "migrate status",
    "migrate recreate-shadow",
    "dead-letters list",
    "dead-letters list --json",
    "dead-letters show 0 2",
    "dead-letters discard --all --yes",
    "parked list",
    "parked discard --older-than 0s --yes",
    "deleted list",
)
WITH_KAFKA = (
    "status",
    "status --json",
    "verify",
    "verify --json",
    "rebuild",
    "explain d-1",
    "record --out {folder}/a.gz",
)


def run(arguments: Sequence[str], stdout: IO[bytes], **settings: str) -> tuple[int, str]:
    """Run a command with this standard output; the exit code, and what it wrote to standard error."""
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as err, os.fdopen(write_end, "wb") as stderr, stdout:
        process = start(arguments, environment(settings), stdout=stdout, stderr=stderr)
        stderr.close()
        return process.wait(TIMEOUT_SECONDS), err.read()


def full_disk() -> IO[bytes]:
    return open("/dev/full", "wb")


def closed_pipe() -> IO[bytes]:
    read_end, write_end = os.pipe()
    os.close(read_end)
    return os.fdopen(write_end, "wb")


# --- standard output


@pytest.mark.parametrize("command", WITHOUT_SERVERS)
def test_full_disk_is_one_sentence(command: str) -> None:
    assert run(command.split(), full_disk()) == (1, FULL)


@pytest.mark.parametrize("command", WITH_POSTGRES)
def test_full_disk_is_one_sentence_with_postgres(command: str, tmp_path: Path, database_url: str) -> None:
    replay_letters(tmp_path, database_url)
    assert run(command.split(), full_disk(), database_url=database_url) == (1, FULL)


@pytest.mark.parametrize("command", WITH_KAFKA)
def test_full_disk_is_one_sentence_with_kafka(command: str, tmp_path: Path, cluster: Cluster) -> None:
    settings = {name: getattr(cluster, name) for name in ("database_url", "bootstrap_servers", "topic")}
    cluster.publish([Record(b"c1", json.dumps(REQUEST).encode(), 0)])
    run_projector("rebuild", **settings)
    code, err = run(command.format(folder=tmp_path).split(), full_disk(), **settings)
    assert (code, err.splitlines(keepends=True)[-1]) == (1, FULL)
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["--help", "config"])
def test_closed_pipe_is_one_sentence(command: str) -> None:
    assert run([command], closed_pipe()) == (1, CLOSED)


def test_work_is_done_although_nobody_reads_its_output(tmp_path: Path, database_url: str) -> None:
    file = recording(tmp_path, REQUEST)
    assert run(["replay", str(file)], closed_pipe(), database_url=database_url) == (1, CLOSED)
    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT delegation_id FROM delegations").fetchall() == [("d-1",)]


def test_own_exit_code_is_kept_on_a_full_disk(tmp_path: Path, database_url: str) -> None:
    file = recording(tmp_path, b"no json", REQUEST)
    code, err = run(["replay", str(file)], full_disk(), database_url=database_url)
    assert (code, err.splitlines(keepends=True)[-1]) == (5, FULL)


# --- standard error


@pytest.mark.parametrize("stderr", [full_disk, closed_pipe])
def test_lost_error_changes_no_exit_code(stderr: Callable[[], IO[bytes]]) -> None:
    with stderr() as lost, open(os.devnull, "wb") as nowhere:
        process = start(["config"], environment({"batch_records": "many"}), stdout=nowhere, stderr=lost)
        assert process.wait(TIMEOUT_SECONDS) == 2


@pytest.mark.parametrize("stderr", [full_disk, closed_pipe])
def test_run_projects_although_its_log_is_lost(stderr: Callable[[], IO[bytes]], cluster: Cluster) -> None:
    settings = {name: getattr(cluster, name) for name in ("database_url", "bootstrap_servers", "topic")}
    cluster.publish([Record(b"c1", b"no json", 0)])
    with stderr() as lost:
        process = start(["run"], environment({**settings, "group_id": cluster.topic}), stderr=lost)
    try:
        wait_until(cluster.projected_records, "a projected record")
        cluster.publish([Record(b"c1", json.dumps(REQUEST).encode(), 0)])
        cluster.wait_until_caught_up()
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_SECONDS) == 0
    finally:
        process.kill()


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_stream_is_no_error(closed: str) -> None:
    command = f"exec {sys.executable} -m projector config {closed}"
    done = subprocess.run(["sh", "-c", command], env=environment({}), capture_output=True, timeout=TIMEOUT_SECONDS)
    assert (done.returncode, done.stderr) == (0, b"")


# --- encodings


@pytest.mark.parametrize("variable", ["PYTHONIOENCODING=ascii", "PYTHONIOENCODING=latin-1", "LC_ALL=C"])
@pytest.mark.parametrize(
    ("command", "code"), [("explain d-1 --recording recording.jsonl", 3), ("run --help", 0), ("explain → --json=é", 2)]
)
def test_terminal_need_not_be_utf8(variable: str, command: str, code: int, tmp_path: Path, database_url: str) -> None:
    body = {"delegation_id": "d-1", "task": "→ 日本 👩\u200d👧 \ud800"}
    recording(tmp_path, delegate(0, source_id=CALLER, request_body=body))
    name, _, value = variable.partition("=")
    done = subprocess.run(
        [sys.executable, "-m", "projector", *command.split()],
        env={**environment({"database_url": database_url}), name: value},
        cwd=tmp_path,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
    )
    assert b"Traceback" not in done.stderr
    assert done.returncode == code
