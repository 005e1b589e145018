"""Ctrl-C and SIGTERM in a command: before, during and after its work."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

_SENTENCES = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM"}
_AGAIN_SECONDS = 0.01
_CLEANUP_SECONDS = 10.0
"""A cleanup may wait for a server that is frozen: psycopg waits until a query that it cancels has ended."""


class Interrupted(KeyboardInterrupt):
    """A signal ended the work: print the sentence and exit with `code`."""

    def __init__(self, number: int, advice: str = "") -> None:
        """`advice`: what to do now, as part of the sentence."""
        super().__init__(f"{_SENTENCES[signal.Signals(number)]}{advice and '; '}{advice}")
        self.code = 128 + number


def end_at_once() -> None:
    """From now on a signal ends the process without unwinding: there is nothing to clean up.

    An exception would not do. In the callbacks of an import, and while Python finishes, Python ignores it and prints a
    traceback.
    """
    _handle_with(_end)


@contextmanager
def interruptible(advice: str = "") -> Iterator[None]:
    """Within the block the first signal raises Interrupted, so that the work cleans up.

    The second signal, or a cleanup that takes too long, ends the process at once.
    """
    arrived: list[Interrupted] = []
    cleanup = threading.Timer(_CLEANUP_SECONDS, lambda: _end_process(arrived[0]))
    cleanup.daemon = True

    def interrupt(number: int, _: FrameType | None) -> None:
        end_at_once()
        arrived.append(Interrupted(number, advice))
        if cleanup.ident is None:
            cleanup.start()
        raise arrived[0]

    def again(ignored: "sys.UnraisableHookArgs") -> None:
        """Python ignores exceptions in a destructor."""
        if not isinstance(ignored.exc_value, Interrupted):
            sys.__unraisablehook__(ignored)
            return
        _handle_with(interrupt)
        arguments = [threading.get_ident(), ignored.exc_value.code - 128]
        timer = threading.Timer(_AGAIN_SECONDS, signal.pthread_kill, arguments)  # it also ends a wait of this thread
        timer.daemon = True
        timer.start()

    hook, sys.unraisablehook = sys.unraisablehook, again
    _handle_with(interrupt)
    try:
        yield
    except BaseException:
        if arrived:
            raise arrived[0] from None  # the error of a cleanup is only a consequence
        raise
    finally:
        end_at_once()
        cleanup.cancel()
        sys.unraisablehook = hook


def _handle_with(handler: Callable[[int, FrameType | None], Any]) -> None:
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as for a job in the background of a shell
        signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGTERM, handler)  # process 1 of a container has no default


def _end(number: int, _: FrameType | None) -> None:
    _end_process(Interrupted(number))


def _end_process(error: Interrupted) -> None:
    with suppress(OSError):
        os.write(2, f"projector: {error}\n".encode())
    os._exit(error.code)
