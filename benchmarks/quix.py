"""The contender that a Python user would pick instead: Quix Streams with its PostgreSQL sink, in one process or two."""

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

from benchmarks.environment import Environment
from benchmarks.measured import Measured, NotHere
from benchmarks.projecting import GIVEN_UP_AFTER_SECONDS

VERSION = "3.28.0"
COMMIT_EVERY = 20_000
"""Records a checkpoint, and so a transaction: the fastest of 1,000, 5,000 and 20,000 with one process."""

_HERE = Path(__file__).parent


def quix(field: Environment, *, processes: int = 1) -> Measured:
    """From the first record that a process sees to the end of the last write, less what that one waited for records."""
    python = _python()
    url = field.database()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-quix-") as folder:
            logs = [Path(folder) / f"{number}" for number in range(processes)]
            return _measured(field, [str(python)], url, logs)
    finally:
        field.drop(url)


def _measured(field: Environment, python: list[str], url: str, logs: list[Path]) -> Measured:
    group = f"quix-{time.time_ns()}"
    workers = [_started(python, field, url, group, log) for log in logs]
    try:
        _wait_until_committed(field, group, workers, logs)
        told = [json.loads(line) for log in logs for line in log.read_text().splitlines() if line.startswith("{")]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    field.require_rows(url)
    seconds = max(each["ended_at"] for each in told) - min(each["began_at"] for each in told)
    return Measured(field.events / seconds)


def _started(python: list[str], field: Environment, url: str, group: str, log: Path) -> subprocess.Popen[bytes]:
    place = urlsplit(url)
    told = {
        "bootstrap_servers": field.bootstrap_servers,
        "topic": field.topic,
        "group": group,
        "commit_every": COMMIT_EVERY,
        "database": {
            "host": place.hostname,
            "port": place.port,
            "user": place.username,
            "password": place.password,
            "dbname": place.path.removeprefix("/"),
        },
    }
    with log.open("wb") as said:
        # -I: this folder is not on its path, and its own modules hide none of Python's.
        command = [*python, "-I", str(_HERE / "quix_worker.py"), json.dumps(told)]
        return subprocess.Popen(command, cwd=log.parent, stdout=said, stderr=subprocess.STDOUT)


def _wait_until_committed(
    field: Environment, group: str, workers: list[subprocess.Popen[bytes]], logs: list[Path]
) -> None:
    until = time.monotonic() + GIVEN_UP_AFTER_SECONDS
    with closing(KafkaAdminClient(bootstrap_servers=field.bootstrap_servers)) as admin:
        while committed(admin, group) < field.records:
            for worker, log in zip(workers, logs, strict=True):
                if worker.poll() is not None:
                    raise NotHere(f"Quix Streams ended by itself: {log.read_text()[-300:]}")
            if time.monotonic() > until:
                raise NotHere("Quix Streams did not catch up")
            time.sleep(0.25)


def committed(admin: Any, group: str) -> int:
    """How many records a group has committed; 0 while nobody knows it."""
    try:
        told = admin.list_group_offsets({group: None})[group]
    except Exception:  # until the group has its coordinator
        return 0
    return sum(max(place.offset, 0) for place in told.values())


def _python() -> Path:
    """The environment's interpreter; made at first use, since its dependencies are not ours. Raises NotHere.

    It is of the build of Python that runs the bench, since one that was optimized for a profile is a good deal faster.
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
        raise NotHere(f"Quix Streams {VERSION} cannot be installed: {_last_line(error.stderr)}") from error
    done.write_text(sys.base_prefix)
    return python


def _last_line(said: bytes) -> str:
    return (said.decode(errors="replace").strip().splitlines() or ["no reason was given"])[-1]
