"""Several members on one machine, and what runs beside them: a parent starts them and passes signals on.

It stops all when one of them ends.

It restarts nothing. The service manager that started the parent does that, as for a single member.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType

from projector.errors import ProjectorError
from projector.process.barrier import Barrier
from projector.process.shutdown import on_stop
from projector.worker.health import Health, check, latest, require_replaceable
from projector.worker.http import serving

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.2
_REPORT_SECONDS = 1.0


def run_members(
    count: int,
    member: Callable[[int, Barrier], int],
    health_file: Path | None,
    beside: Mapping[str, Callable[[], int]] = MappingProxyType({}),
    http_address: str | None = None,
) -> int:
    """Run `member` (its number, from 1, and the barrier of all → exit code) in `count` processes.

    Each function of `beside` (name → function) gets a process of its own too. Returns the first exit code that is not
    0. At `http_address` the parent serves the metrics and the probes of all, which it reads from their health files.

    Call it before the process has a thread or a connection, since it forks. In the process of a function it returns or
    raises what the function does. In the parent it raises ProjectorError if a signal ended a process. It raises
    Misconfigured if a health file would replace something else than a report.
    """
    barrier = Barrier()
    works: dict[str, Callable[[], int]] = {f"member {n}": partial(member, n, barrier) for n in range(1, count + 1)}
    works |= {name: partial(_outside, barrier, work) for name, work in beside.items()}
    reports = {name: child_file(health_file, name) for name in works} if health_file else {}
    if health_file:
        _delete_reports(health_file, list(reports.values()))
    read_end, write_end = os.pipe()
    pids: dict[int, str] = {}
    for name, work in works.items():
        if (pid := os.fork()) == 0:
            os.close(write_end)
            _stop_with_parent(read_end)
            return work()
        pids[pid] = name
    os.close(read_end)
    barrier.leave()
    log.info("members started", extra={"pids": list(pids)})
    with serving(http_address, lambda: {name: latest(file) for name, file in reports.items()}):
        return _Parent(pids, health_file, reports).run()


def _outside(barrier: Barrier, work: Callable[[], int]) -> int:
    barrier.leave()
    return work()


def child_file(health_file: Path, name: str) -> Path:
    """The health file of one process, which the parent reads: `….1` of member 1, `….sweeper` of the sweeper."""
    return health_file.with_name(f"{health_file.name}.{name.removeprefix('member ')}")


def _delete_reports(health_file: Path, reports: Sequence[Path]) -> None:
    """Delete the reports of an earlier run. Nothing is deleted if one of the files is no report."""
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
    """Waits for the processes. `pids`: process id → name. `reports`: name → health file."""

    def __init__(self, pids: dict[int, str], health_file: Path | None, reports: Mapping[str, Path]) -> None:
        self._pids = pids
        self._reports = reports
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
        name = self._pids.pop(pid, None)
        if name is None:
            return  # process 1 of a container inherits orphans of others
        self._codes.append(max(code, 0))
        # Our own SIGTERM can reach a member before it handles signals.
        if code < 0 and not (self._stopping and code == -signal.SIGTERM):
            ended = f"{name} (process {pid}) was ended by {signal.Signals(-code).name}"
            self._failure = self._failure or f"{ended}; the others were stopped"
        if not self._stopping:
            log.error("a member ended, the others are stopped", extra={"member": name, "pid": pid, "code": code})
            self._pass_on(signal.SIGTERM)

    def _report(self) -> None:
        """The parent is healthy while all its processes are."""
        if not self._reports or time.monotonic() < self._report_at:
            return
        self._report_at = time.monotonic() + _REPORT_SECONDS
        states = []
        for name, file in self._reports.items():
            try:
                states.append(check(file))
            except ProjectorError as error:
                self._health.report(healthy=False, state=f"{name}: {error}")
                return
        self._health.report(healthy=True, state=states[0] if len(set(states)) == 1 else "; ".join(states))
