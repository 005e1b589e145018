"""Quix Streams with its PostgreSQL sink as a contender, in one process or two."""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kafka import KafkaAdminClient

from benchmarks.claims import CATCH_UP_TIMEOUT_SECONDS
from benchmarks.environment import Environment
from benchmarks.measurement import Failed, Measurement, NotMeasured

VERSION = "3.28.0"
COMMIT_EVERY = 20_000
"""Records per checkpoint, and so per transaction: the fastest of 1,000, 5,000 and 20,000 with one process."""

_HERE = Path(__file__).parent


def quix(environment: Environment, *, processes: int = 1) -> Measurement:
    """Measure from the first record that a process gets to the end of the last write, less its time without records."""
    peers_python()
    url = environment.create_database()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-quix-") as folder:
            logs = [Path(folder) / f"{number}" for number in range(processes)]
            return _measured(environment, url, logs)
    finally:
        environment.drop_database(url)


def _measured(environment: Environment, url: str, logs: list[Path]) -> Measurement:
    group = f"quix-{time.time_ns()}"
    workers = [_started(environment, url, group, log) for log in logs]
    try:
        _wait_until_committed(environment, group, workers, logs)
        written = [json.loads(line) for log in logs for line in log.read_text().splitlines() if line.startswith("{")]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    environment.require_rows(url)
    seconds = max(each["ended_at"] for each in written) - min(each["began_at"] for each in written)
    return Measurement(environment.events / seconds)


def _started(environment: Environment, url: str, group: str, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        started = command(environment, url, group)
        return subprocess.Popen(started, cwd=log.parent, stdout=output, stderr=subprocess.STDOUT)


def command(
    environment: Environment,
    url: str,
    group: str,
    *,
    commit_every: int = COMMIT_EVERY,
    commit_interval: float = 1.0,
) -> list[str]:
    """Return the command of one process: `commit_every` in records, `commit_interval` in s. Raises NotMeasured."""
    place = urlsplit(url)
    settings = {
        "bootstrap_servers": environment.bootstrap_servers,
        "topic": environment.topic,
        "group": group,
        "commit_every": commit_every,
        "commit_interval": commit_interval,
        "database": {
            "host": place.hostname,
            "port": place.port,
            "user": place.username,
            "password": place.password,
            "dbname": place.path.removeprefix("/"),
        },
    }
    # -I: this folder is not on sys.path, so that its modules do not hide modules of Python.
    return [str(peers_python()), "-I", str(_HERE / "quix_worker.py"), json.dumps(settings)]


def _wait_until_committed(
    environment: Environment, group: str, workers: list[subprocess.Popen[bytes]], logs: list[Path]
) -> None:
    deadline = time.monotonic() + CATCH_UP_TIMEOUT_SECONDS
    with closing(KafkaAdminClient(bootstrap_servers=environment.bootstrap_servers)) as admin:
        while committed(admin, group) < environment.records:
            for worker, log in zip(workers, logs, strict=True):
                if worker.poll() is not None:
                    raise Failed(f"Quix Streams ended: {log.read_text()[-300:]}")
            if time.monotonic() > deadline:
                raise Failed("Quix Streams did not catch up")
            time.sleep(0.25)


def committed(admin: Any, group: str) -> int:
    """Return the number of records that a group has committed; 0 before its first commit."""
    try:
        offsets = admin.list_group_offsets({group: None})[group]
    except Exception:  # the group has no coordinator yet
        return 0
    return sum(max(place.offset, 0) for place in offsets.values())


def peers_python() -> Path:
    """Return the interpreter of a virtual environment with Quix Streams, created at first use. Raises NotMeasured.

    It has the same build of Python as the benchmark, since builds with profile-guided optimization are much faster.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "projector"
    home = cache / f"quix-{VERSION}-python-{sys.version_info.major}.{sys.version_info.minor}"
    python, done = home / "bin" / "python", home / "installed"
    if done.exists() and done.read_text() == sys.base_prefix:
        return python
    pip = [str(python), "-m", "pip", "install", "--quiet", "--constraint", str(_HERE / "quix_constraints.txt")]
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True, capture_output=True)
        subprocess.run([*pip, f"quixstreams[postgresql]=={VERSION}"], check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        raise NotMeasured(f"Quix Streams {VERSION} cannot be installed: {_last_line(error.stderr)}") from error
    done.write_text(sys.base_prefix)
    return python


def _last_line(output: bytes) -> str:
    return (output.decode(errors="replace").strip().splitlines() or ["no output"])[-1]
