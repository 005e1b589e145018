"""What happens on SIGTERM and SIGINT: a flag, a grace period, and a sleep that a signal interrupts."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)

_SLEEP_STEP_SECONDS = 0.05
_FAILED = 1


@contextmanager
def on_stop(handle: Callable[[int], None]) -> Iterator[None]:
    """Call `handle` with the signal's number at SIGTERM and SIGINT, within the block."""

    def called(number: int, _: FrameType | None) -> None:
        handle(number)

    before = {number: signal.signal(number, called) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Shutdown:
    """A flag that the first signal sets. A second signal, or the end of the grace period, ends the process at once.

    Ending at once loses nothing: a batch is committed whole or not at all. Before that, `at_once` is called with the
    reason.
    """

    def __init__(self, grace_seconds: float, at_once: Callable[[str], object] = lambda reason: None) -> None:
        self.requested = False
        self._grace_seconds = grace_seconds
        self._at_once = at_once
        self._timer = threading.Timer(grace_seconds, self._time_out)
        self._timer.daemon = True

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle signals within the block."""
        with on_stop(self._handle):
            yield

    def begin_grace(self) -> None:
        """Begin the grace period, unless a signal has begun it."""
        if self._timer.ident is None:
            self._timer.start()

    def completed(self) -> None:
        """End the grace period: the process has nothing left to do."""
        self._timer.cancel()

    def sleep(self, seconds: float) -> None:
        """Sleep until the time is over or shutdown is requested."""
        until = time.monotonic() + seconds
        while not self.requested and time.monotonic() < until:
            time.sleep(_SLEEP_STEP_SECONDS)

    def _handle(self, number: int) -> None:
        if self.requested:
            self._end_process(128 + number, "a second signal")
        self.requested = True
        self.begin_grace()
        log.info("stopping", extra={"signal": signal.Signals(number).name})

    def _time_out(self) -> None:
        """A server that is frozen never answers, and no exception wakes the thread that waits for it."""
        log.warning("shutdown timed out, exiting", extra={"after_seconds": self._grace_seconds})
        self._end_process(128 + signal.SIGTERM if self.requested else _FAILED, "the shutdown timed out")

    def _end_process(self, code: int, reason: str) -> None:
        try:
            self._at_once(reason)
        finally:
            os._exit(code)
