"""`projector run`: one member of the consumer group or several of them on one machine, and what runs beside them."""

import os
import pkgutil
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from projector.cli.exit_codes import DONE
from projector.errors import Misconfigured
from projector.process.barrier import Barrier
from projector.settings import Settings
from projector.worker.http import serving
from projector.worker.loop import Worker
from projector.worker.supervisor import child_file, run_members

_LOOPS = {"sweeper": "projector.sweep.loop:run", "push": "projector.push.relay:run"}
"""Name of the process → its function: settings → exit code. It is imported in that process only."""


def run(settings: Settings, members: int, with_sweep: bool, with_push: bool) -> int:
    """Run one member or several, and the loops beside them, until a signal stops them."""
    names = [name for name, wanted in (("sweeper", with_sweep), ("push", with_push)) if wanted]
    if members == 1 and not names:
        return _run_member(settings)
    with _reported(settings) as settings:
        return _run_processes(settings, members, names)


@contextmanager
def _reported(settings: Settings) -> Iterator[Settings]:
    """The settings with a health file: the parent reads the metrics of its processes there."""
    if settings.health_file is not None or settings.http_address is None:
        yield settings
        return
    try:
        folder = Path(mkdtemp(prefix="projector-"))
    except OSError as error:
        raise Misconfigured(
            "PROJECTOR_HTTP_ADDRESS with several processes needs a folder for their reports: set "
            f"PROJECTOR_HEALTH_FILE, or make the folder for temporary files writable: {error.strerror}"
        ) from error
    owner = os.getpid()
    try:
        yield settings.model_copy(update={"health_file": folder / "health"})
    finally:
        if os.getpid() == owner:  # each process ends through here, and the others still report
            shutil.rmtree(folder, ignore_errors=True)


def _run_processes(settings: Settings, members: int, names: Sequence[str]) -> int:
    def member(number: int, barrier: Barrier) -> int:
        return _run_member(_of_member(settings, number), barrier)

    beside = {name: _beside(settings, name) for name in names}
    return run_members(members, member, settings.health_file, beside, settings.http_address)


def _run_member(settings: Settings, barrier: Barrier | None = None) -> int:
    worker = Worker(settings)
    if barrier:
        worker.consumer.before_first_join = lambda: barrier.wait(lambda: worker.shutdown.requested)
    with serving(settings.http_address, lambda: {"run": worker.health.latest}):
        worker.run()
    return DONE


def _beside(settings: Settings, name: str) -> Callable[[], int]:
    def work() -> int:
        code: int = pkgutil.resolve_name(_LOOPS[name])(_with_health_file(settings, name))
        return code

    return work


def _of_member(settings: Settings, number: int) -> Settings:
    """The settings with a health file and a static member name that no other member uses."""
    settings = _with_health_file(settings, f"member {number}")
    if settings.group_instance_id:
        return settings.model_copy(update={"group_instance_id": f"{settings.group_instance_id}-{number}"})
    return settings


def _with_health_file(settings: Settings, name: str) -> Settings:
    """The settings of one process: its own health file, and no address, since its parent serves all."""
    file = settings.health_file and child_file(settings.health_file, name)
    return settings.model_copy(update={"health_file": file, "http_address": None})
