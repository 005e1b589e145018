"""A process that the demo starts: a command of the projector, or the platform's producer; its words go to a file."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbed.servers.server import Leash, tail

BRIEFLY_SECONDS = 30.0


class Failed(Exception):
    """The demo cannot go on; the message says why, with the last lines of the log that tells more."""


class Child:
    """`python -m …` with settings of ours alone, in a session of its own; unless kept, it ends when we do."""

    def __init__(self, command: Sequence[str], log: Path, settings: Mapping[str, str], *, keep: bool = False) -> None:
        self._name = " ".join(word for word in command[:2] if not word.startswith("-"))
        self.log = log
        # Not the settings of the person who calls: the demo must never reach a database of theirs.
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
        self._leash = None if keep else Leash(["sh", "-c", f"read -r _; kill -KILL {self.pid}"])

    @property
    def is_up(self) -> bool:
        return self._process.poll() is None

    def require_well(self, expected: int = 0) -> None:
        """Raises Failed where it has ended by itself, but not in good order."""
        if not self.is_up and self._process.returncode != expected:
            raise Failed(f"{self._name} ended with exit code {self._process.returncode}:\n{tail(self.log)}")

    def wait(self, expected: int = 0) -> list[str]:
        """Block until it has done its work, and return the lines that it wrote; raises Failed where it did not."""
        self._wait()
        self.require_well(expected)
        return self.log.read_text(errors="replace").splitlines()

    def kill(self) -> None:
        """End it by SIGKILL: it hears nothing of it."""
        self._process.kill()
        self._wait()

    def stop(self) -> None:
        """End it by SIGTERM; raises Failed where it does not end in good order."""
        self._process.send_signal(signal.SIGTERM)
        self.wait()

    def end(self) -> None:
        """Be gone, whatever it is at."""
        if self._leash is not None:
            self.kill()

    def _wait(self) -> None:
        try:
            self._process.wait(BRIEFLY_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{self._name} does not end:\n{tail(self.log)}") from error
        if self._leash is not None:
            self._leash.release()
            self._leash = None
