"""The projector as a contender: `projector run` with one member or several, and `projector rebuild`."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.claims import claimed_at, rate_after, sample_until, settled
from benchmarks.environment import Environment
from benchmarks.measurement import Failed, Measurement
from benchmarks.processor import children


class Command:
    """A command of the projector as a process, with its JSON log."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Environment,
        url: str,
        log: Path,
        group: str | None = None,
        more_settings: Mapping[str, str] | None = None,
    ) -> None:
        settings = {
            "PROJECTOR_DATABASE_URL": url,
            "PROJECTOR_BOOTSTRAP_SERVERS": environment.bootstrap_servers,
            "PROJECTOR_TOPIC": environment.topic,
            "PROJECTOR_GROUP_ID": group or f"bench-{time.time_ns()}",
            "PROJECTOR_LOG_FORMAT": "json",
            **(more_settings or {}),
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PROJECTOR_")}
        self._name, self._log = command[0], log
        self.started_at = time.time()
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "projector", *command],
                env={**inherited, **settings},
                stdout=subprocess.DEVNULL,
                stderr=output,
            )

    def logged(self, *messages: str) -> Iterator[tuple[float, dict[str, Any]]]:
        """Yield each complete log line with one of these messages, and its time in seconds since 1970."""
        for line in self._log.read_text().splitlines(keepends=True):
            if line.endswith("\n") and any(f'"message": "{message}"' in line for message in messages):
                fields = json.loads(line)
                yield datetime.fromisoformat(fields["time"]).timestamp(), fields

    def logged_at(self, message: str) -> float | None:
        """Return the time of the first log line with this message in seconds since 1970, or None."""
        return next((at for at, _ in self.logged(message)), None)

    def wait_for_log(self, message: str) -> float:
        """Block until a log line has this message; returns its time in seconds since 1970."""
        while (at := self.logged_at(message)) is None:
            self.raise_if_ended()
            time.sleep(0.02)
        return at

    def raise_if_ended(self) -> None:
        """Raises Failed if the process has ended."""
        if self.process.poll() is not None:
            raise self._failure()

    def end(self) -> float | None:
        """Stop it by SIGTERM; returns its peak memory in MiB."""
        peak = peak_mebibytes(self.process.pid)
        self.process.terminate()
        self._require_done()
        return peak

    def wait(self) -> float | None:
        """Block until it ends; returns its peak memory in MiB."""
        peak = None
        while self.process.poll() is None:
            peak = peak_mebibytes(self.process.pid) or peak
            time.sleep(0.05)
        self._require_done()
        return peak

    def _require_done(self) -> None:
        if self.process.wait() != 0:
            raise self._failure()

    def _failure(self) -> Failed:
        lines = self._log.read_text().strip().splitlines() or ["(empty)"]
        code = self.process.returncode
        return Failed(f"`projector {self._name}` ended with exit code {code}, last line: {lines[-1]}")


def peak_mebibytes(pid: int) -> float | None:
    """Return the peak memory of a process or of its largest child; None if the system does not report it.

    Not `ru_maxrss`: a new process inherits it from its parent.
    """
    return max((peak for each in (pid, *children(pid)) if (peak := _memory(each, "VmHWM"))), default=None)


def resident_mebibytes(pid: int) -> float | None:
    """Return the resident memory of a process; None if the system does not report it."""
    return _memory(pid, "VmRSS")


def _memory(pid: int, name: str) -> float | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(name)), None)


@contextmanager
def running(environment: Environment, url: str, *arguments: str, group: str | None = None) -> Iterator[Command]:
    """Run `projector run` for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="bench-log-") as folder:
        member = Command(["run", *arguments], environment, url, Path(folder) / "log", group)
        try:
            yield member
        finally:
            if member.process.returncode is None:
                member.process.kill()
                member.process.wait()


def projector_run(environment: Environment, *, members: int = 1) -> Measurement:
    """Measure from the first claim in the log to the last commit, by the server's clock, which is this machine's."""
    url = environment.create_database()
    try:
        return catch_up(environment, url, members=members)._replace(view=environment.view(url))
    finally:
        environment.drop_database(url)


def catch_up(environment: Environment, url: str, *, members: int = 1) -> Measurement:
    """Project the whole topic into this database, and measure it."""
    with running(environment, url, "--members", str(members)) as member:
        samples = sample_until(url, environment.records, member.raise_if_ended)
        began_at = member.logged_at("partition claimed")
        peak = member.end()
    assert began_at is not None
    measured = Measurement(environment.events / (samples[-1].moved_at - began_at), peak)
    if (sample := settled(samples, members)) is None:
        return measured
    rate = rate_after(sample, samples[-1])
    return measured._replace(
        claimed_after=claimed_at(sample) - member.started_at,
        after_claims=rate and rate * environment.events / environment.records,
    )


def projector_rebuild(environment: Environment) -> Measurement:
    """Measure the rebuild of a view with 1 % edited rows, from the start of its fold to the end of the process."""
    url = environment.create_database()
    try:
        catch_up(environment, url, members=2)
        with psycopg.connect(url) as conn:
            conn.execute("UPDATE delegations SET task_preview = '' WHERE hashtext(delegation_id) % 100 = 0")
        with tempfile.TemporaryDirectory(prefix="bench-log-") as folder:
            rebuilding = Command(["rebuild"], environment, url, Path(folder) / "log")
            peak, ended_at = rebuilding.wait(), time.time()
            began_at = rebuilding.logged_at("folding")
            assert began_at is not None
            return Measurement(environment.events / (ended_at - began_at), peak, environment.view(url))
    finally:
        environment.drop_database(url)


def wait_until_projected(url: str, count: int, member: Command) -> float:
    """Block until `count` records are projected; returns the time of the last commit in seconds since 1970."""
    return sample_until(url, count, member.raise_if_ended)[-1].moved_at
