"""Where the processes of one command wait for each other, once."""

import os
import select
import time
from collections.abc import Callable

_SECONDS = 2.0
_STEP_SECONDS = 0.05


class Barrier:
    """Create it before the processes are forked. One that dies or hangs does not hold the others back.

    It is a pipe. Each process has the write end. The pipe ends when all of them have closed it or have ended.
    """

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        self._is_open = True

    def wait(self, is_stopping: Callable[[], bool]) -> None:
        """Wait until all others are here or have ended, but two seconds at most. The second call does not wait."""
        if not self._is_open:
            return
        os.close(self._write_end)
        until = time.monotonic() + _SECONDS
        while not is_stopping() and time.monotonic() < until:
            if select.select([self._read_end], [], [], _STEP_SECONDS)[0]:
                break
        os.close(self._read_end)
        self._is_open = False

    def leave(self) -> None:
        """Do not take part."""
        self.wait(lambda: True)
