"""The contenders of our own: `projector run` with one member or several, and `projector rebuild`."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.environment import Environment
from benchmarks.measured import Measured, NotHere

GIVEN_UP_AFTER_SECONDS = 1800.0


class Command:
    """A command of the projector as it is installed, and what it logged: a dictionary a line."""

    def __init__(self, command: Sequence[str], field: Environment, url: str, log: Path) -> None:
        settings = {
            "PROJECTOR_DATABASE_URL": url,
            "PROJECTOR_BOOTSTRAP_SERVERS": field.bootstrap_servers,
            "PROJECTOR_TOPIC": field.topic,
            "PROJECTOR_GROUP_ID": f"bench-{time.time_ns()}",
            "PROJECTOR_LOG_FORMAT": "json",
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PROJECTOR_")}
        self._name, self._log = command[0], log
        with log.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "projector", *command],
                env={**inherited, **settings},
                stdout=subprocess.DEVNULL,
                stderr=said,
            )

    def said_at(self, message: str) -> float | None:
        """When it first said so, in seconds since 1970."""
        for line in self._log.read_text().splitlines():
            if f'"message": "{message}"' in line:
                return datetime.fromisoformat(json.loads(line)["time"]).timestamp()
        return None

    def wait_until_it_said(self, message: str) -> float:
        """Block until then."""
        while (at := self.said_at(message)) is None:
            self.require_well()
            time.sleep(0.02)
        return at

    def require_well(self) -> None:
        """Raises NotHere where it ended."""
        if self.process.poll() is not None:
            raise self._failure()

    def end(self) -> float | None:
        """Tell it to stop if it did not; its peak memory."""
        peak = peak_mebibytes(self.process.pid)
        self.process.terminate()
        self._require_done()
        return peak

    def wait(self) -> float | None:
        """Block until it ends; its peak memory."""
        peak = None
        while self.process.poll() is None:
            peak = peak_mebibytes(self.process.pid) or peak
            time.sleep(0.05)
        self._require_done()
        return peak

    def _require_done(self) -> None:
        if self.process.wait() != 0:
            raise self._failure()

    def _failure(self) -> NotHere:
        said = self._log.read_text().strip().splitlines() or ["nothing"]
        return NotHere(f"`projector {self._name}` ended with {self.process.returncode} and said: {said[-1]}")


def peak_mebibytes(pid: int) -> float | None:
    """The most memory that a process, or the largest of its children, held; none where the system does not tell.

    Not `ru_maxrss`: a new process has that of whoever started it.
    """
    return max((found for each in (pid, *_children(pid)) if (found := _told(each, "VmHWM"))), default=None)


def resident_mebibytes(pid: int) -> float | None:
    """What a process holds now."""
    return _told(pid, "VmRSS")


def _told(pid: int, name: str) -> float | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), None)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@contextmanager
def running(field: Environment, url: str, *arguments: str) -> Iterator[Command]:
    """`projector run`, ended at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="bench-log-") as folder:
        member = Command(["run", *arguments], field, url, Path(folder) / "log")
        try:
            yield member
        finally:
            if member.process.returncode is None:
                member.process.kill()
                member.process.wait()


def projector_run(field: Environment, *, members: int = 1) -> Measured:
    """From the first claim that a member logs to the last commit by the server's clock, which is this machine's."""
    url = field.database()
    try:
        return catch_up(field, url, members=members)
    finally:
        field.drop(url)


def catch_up(field: Environment, url: str, *, members: int = 1) -> Measured:
    """Project the field into this database."""
    with running(field, url, "--members", str(members)) as member:
        ended_at = wait_until_projected(url, field.records, member)
        began_at = member.said_at("partition claimed")
        peak = member.end()
    assert began_at is not None
    return Measured(field.events / (ended_at - began_at), peak)


def projector_rebuild(field: Environment) -> Measured:
    """Of a view in which one row in a hundred was edited; from the beginning of its fold to the end of the process."""
    url = field.database()
    try:
        catch_up(field, url, members=2)
        with psycopg.connect(url) as conn:
            conn.execute("UPDATE delegations SET task_preview = '' WHERE hashtext(delegation_id) % 100 = 0")
        with tempfile.TemporaryDirectory(prefix="bench-log-") as folder:
            rebuilding = Command(["rebuild"], field, url, Path(folder) / "log")
            peak, ended_at = rebuilding.wait(), time.time()
            began_at = rebuilding.said_at("folding")
            assert began_at is not None
            return Measured(field.events / (ended_at - began_at), peak)
    finally:
        field.drop(url)


def wait_until_projected(url: str, count: int, member: Command) -> float:
    """Block until so many records are projected; when the last of them was committed, in seconds since 1970."""
    until = time.monotonic() + GIVEN_UP_AFTER_SECONDS
    with psycopg.connect(url, autocommit=True) as conn:
        while time.monotonic() < until:
            member.require_well()
            found: Any = conn.execute(
                "SELECT sum(next_offset), extract(epoch FROM max(moved_at)) FROM projector.positions"
            ).fetchone()
            if found[0] == count:
                return float(found[1])
            time.sleep(0.1)  # often would take from what is measured
    raise NotHere(f"`projector run` did not catch up within {GIVEN_UP_AFTER_SECONDS:,.0f} s")
