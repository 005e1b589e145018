"""Starts a process of the demo: a command of the projector, or the producer. Its output goes to a file."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbed.servers.server import CleanupProcess, tail

EXIT_TIMEOUT_SECONDS = 120.0


class ProcessFailed(Exception):
    """A process of the demo failed or made no progress; the message has the end of its log."""


class ManagedProcess:
    """`python -m …` with only the settings given here, in its own session; unless `keep` is set, it ends with us."""

    def __init__(self, command: Sequence[str], log: Path, settings: Mapping[str, str], *, keep: bool = False) -> None:
        self._name = " ".join(word for word in command[:2] if not word.startswith("-"))
        self.log = log
        # Not the settings of the caller's shell: the demo must never reach another database.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PROJECTOR_")}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**inherited, **settings},
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._cleanup = None if keep else CleanupProcess(["sh", "-c", f"read -r _; kill -KILL {self.pid}"])

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def raise_if_failed(self, expected: int = 0) -> None:
        """Raises ProcessFailed if it ended with another exit code than expected."""
        if not self.is_running and self._process.returncode != expected:
            raise ProcessFailed(f"{self._name} ended with exit code {self._process.returncode}:\n{tail(self.log)}")

    def wait(self, expected: int = 0) -> list[str]:
        """Block until it ends and return the lines of its output; raises ProcessFailed."""
        self._wait()
        self.raise_if_failed(expected)
        return self.log.read_text(errors="replace").splitlines()

    def kill(self) -> None:
        """End it by SIGKILL, without a shutdown."""
        self._process.kill()
        self._wait()

    def stop(self) -> None:
        """Shut it down by SIGTERM; raises ProcessFailed unless it ends with exit code 0."""
        self._process.send_signal(signal.SIGTERM)
        self.wait()

    def end(self) -> None:
        """End it in any state, unless it is kept."""
        if self._cleanup is not None:
            self.kill()

    def _wait(self) -> None:
        try:
            self._process.wait(EXIT_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired as error:
            seconds = f"{EXIT_TIMEOUT_SECONDS:.0f} seconds"
            raise ProcessFailed(f"{self._name} has not ended after {seconds}:\n{tail(self.log)}") from error
        if self._cleanup is not None:
            self._cleanup.cancel()
            self._cleanup = None
