"""Several members on one machine: a parent that starts them, passes signals on, and ends all when one ends.

It restarts nothing: whoever started it does that, as with a single member.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from projector.errors import ProjectorError
from projector.worker.health import Health, check

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.2
_REPORT_SECONDS = 1.0


def run_members(count: int, member: Callable[[int], int], health_file: Path | None) -> int:
    """Run `member` (number, from 1 on → exit code) in so many processes; the first exit code that is not 0.

    Call it before anything has a thread or a connection, since the processes are forks. What `member` returns or raises
    leaves this function in the member's process. In the parent's, raises ProjectorError where a signal ended a member.
    """
    ours, theirs = os.pipe()
    pids: dict[int, int] = {}
    for number in range(1, count + 1):
        if health_file:
            member_file(health_file, number).unlink(missing_ok=True)
        if (pid := os.fork()) == 0:
            os.close(theirs)
            _live_with_the_parent(ours)
            return member(number)
        pids[pid] = number
    os.close(ours)
    log.info("members started", extra={"pids": list(pids)})
    return _Parent(pids, health_file).run()


def member_file(health_file: Path, number: int) -> Path:
    """Where a member reports to its parent."""
    return health_file.with_name(f"{health_file.name}.{number}")


def _live_with_the_parent(pipe: int) -> None:
    """Finish as on SIGTERM when the parent is gone, however that went: the pipe that only it holds then ends.

    In a session of its own, so that a Ctrl-C at the terminal comes once, from the parent: twice means at once.
    """
    os.setsid()

    def wait() -> None:
        os.read(pipe, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()


class _Parent:
    """Waits for the members; `pids`: process → number of the member."""

    def __init__(self, pids: dict[int, int], health_file: Path | None) -> None:
        self._pids = pids
        self._numbers = list(pids.values())
        self._health_file = health_file
        self._health = Health(health_file)
        self._report_at = 0.0
        self._told = False
        self._codes: list[int] = []
        self._failure: str | None = None

    def run(self) -> int:
        with self._signals():
            while self._pids:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid:
                    self._ended(pid, os.waitstatus_to_exitcode(status))
                else:
                    self._report()
                    time.sleep(_TICK_SECONDS)
        if self._failure:
            raise ProjectorError(self._failure)
        return next((code for code in self._codes if code != 0), 0)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def pass_on(number: int, _: FrameType | None) -> None:
            self._told = True
            self._tell(number)

        before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _tell(self, number: int) -> None:
        for pid in self._pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _ended(self, pid: int, code: int) -> None:
        """A negative code is the signal that ended it."""
        number = self._pids.pop(pid, None)
        if number is None:
            return  # process 1 of a container gets other people's children too
        self._codes.append(max(code, 0))
        if code < 0 and not (self._told and code == -signal.SIGTERM):  # ours reached it where it had nothing in hand
            ended = f"member {number} (process {pid}) was ended by {signal.Signals(-code).name}"
            self._failure = self._failure or f"{ended}; the others were stopped"
        if self._told:
            return
        self._told = True
        log.error("a member ended, the others are stopped", extra={"number": number, "pid": pid, "code": code})
        self._tell(signal.SIGTERM)

    def _report(self) -> None:
        """Healthy while all members are."""
        if self._health_file is None or time.monotonic() < self._report_at:
            return
        self._report_at = time.monotonic() + _REPORT_SECONDS
        states = []
        for number in self._numbers:
            try:
                states.append(check(member_file(self._health_file, number)))
            except ProjectorError as error:
                self._health.report(healthy=False, state=f"member {number}: {error}")
                return
        self._health.report(healthy=True, state=states[0] if len(set(states)) == 1 else "; ".join(states))
