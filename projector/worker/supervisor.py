"""Several members on one machine: a parent starts them, passes signals on, and stops all when one ends.

It restarts nothing. The service manager that started the parent does that, as for a single member.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from projector.errors import ProjectorError
from projector.process.barrier import Barrier
from projector.process.shutdown import on_stop
from projector.worker.health import Health, check, require_replaceable

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.2
_REPORT_SECONDS = 1.0


def run_members(count: int, member: Callable[[int, Barrier], int], health_file: Path | None) -> int:
    """Run `member` (its number, from 1, and the barrier of all → exit code) in `count` processes.

    Returns the first exit code that is not 0.

    Call it before the process has a thread or a connection, since it forks. In a member's process the function returns
    or raises what `member` does. In the parent it raises ProjectorError if a signal ended a member. It raises
    Misconfigured if a health file would replace something else than a report.
    """
    if health_file:
        _delete_reports(health_file, count)
    barrier = Barrier()
    read_end, write_end = os.pipe()
    pids: dict[int, int] = {}
    for number in range(1, count + 1):
        if (pid := os.fork()) == 0:
            os.close(write_end)
            _stop_with_parent(read_end)
            return member(number, barrier)
        pids[pid] = number
    os.close(read_end)
    barrier.leave()
    log.info("members started", extra={"pids": list(pids)})
    return _Parent(pids, health_file).run()


def member_file(health_file: Path, number: int) -> Path:
    """The health file of one member, which the parent reads."""
    return health_file.with_name(f"{health_file.name}.{number}")


def _delete_reports(health_file: Path, count: int) -> None:
    """Delete the reports of an earlier run. Nothing is deleted if one of the files is no report."""
    reports = [member_file(health_file, number) for number in range(1, count + 1)]
    for path in (health_file, *reports):
        require_replaceable(path)
    for path in reports:
        path.unlink(missing_ok=True)


def _stop_with_parent(pipe: int) -> None:
    """Stop as on SIGTERM when the parent ends, even by SIGKILL: only the parent holds the pipe's other end.

    The member gets its own session. Otherwise a Ctrl-C would reach it twice, from the terminal and from the parent, and
    a second signal ends a process at once.
    """
    os.setsid()

    def wait() -> None:
        os.read(pipe, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()


class _Parent:
    """Waits for the members. `pids`: process id → number of the member."""

    def __init__(self, pids: dict[int, int], health_file: Path | None) -> None:
        self._pids = pids
        self._numbers = list(pids.values())
        self._health_file = health_file
        self._health = Health(health_file)
        self._report_at = 0.0
        self._stopping = False
        self._codes: list[int] = []
        self._failure: str | None = None

    def run(self) -> int:
        with on_stop(self._pass_on):
            while self._pids:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid:
                    self._ended(pid, os.waitstatus_to_exitcode(status))
                else:
                    self._report()
                    time.sleep(_TICK_SECONDS)
        self._health.report(healthy=False, state=self._failure or "stopped")
        if self._failure:
            raise ProjectorError(self._failure)
        return next((code for code in self._codes if code != 0), 0)

    def _pass_on(self, number: int) -> None:
        self._stopping = True
        for pid in self._pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _ended(self, pid: int, code: int) -> None:
        """A negative code is the signal that ended the process."""
        number = self._pids.pop(pid, None)
        if number is None:
            return  # process 1 of a container inherits orphans of others
        self._codes.append(max(code, 0))
        # Our own SIGTERM can reach a member before it handles signals.
        if code < 0 and not (self._stopping and code == -signal.SIGTERM):
            ended = f"member {number} (process {pid}) was ended by {signal.Signals(-code).name}"
            self._failure = self._failure or f"{ended}; the others were stopped"
        if not self._stopping:
            log.error("a member ended, the others are stopped", extra={"number": number, "pid": pid, "code": code})
            self._pass_on(signal.SIGTERM)

    def _report(self) -> None:
        """The parent is healthy while all members are."""
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
