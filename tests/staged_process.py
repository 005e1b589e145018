"""A long-running command of the projector, which tests freeze, kill and stop."""

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from commands import start


class Process:
    """A long-running command of the projector, with its log."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("ab") as output:
            self.process = start(arguments, environment, stdout=output, stderr=output)

    def text(self) -> str:
        return self._log.read_text()

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Shut it down by SIGTERM; returns its exit code."""
        self.thaw()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)
