"""How a process is doing: what it reports, and its health file."""

import logging
import os
import secrets
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, FiniteFloat

from projector.errors import Misconfigured, ProjectorError
from projector.worker.meters import Meters, Sample
from projector.worker.metrics import State

log = logging.getLogger(__name__)

FRESH_SECONDS = 30.0
"""An older report means that the process hangs: no statement may take longer."""
_MAX_BYTES = 16 * 1024 * 1024
"""A larger file is no report. It has three numbers per partition, and a topic has at most tens of thousands."""


class Report(BaseModel):
    """`at`: seconds since 1970. `state`: one sentence. A release before this one writes no metrics, and no kind."""

    model_config = ConfigDict(ser_json_inf_nan="constants")

    at: FiniteFloat
    healthy: bool
    state: str
    kind: State = State.WORKING
    metrics: list[Sample] = []

    def is_fresh(self, now: float) -> bool:
        """Whether it is of about now, in seconds since 1970. After the clock was set back it may be of later."""
        return abs(now - self.at) <= FRESH_SECONDS


class Health:
    """Writes reports to the health file, with the numbers of `meters`. Without a file it only keeps the latest.

    The constructor raises Misconfigured if the path has something else than a report: it would be lost.
    """

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            require_replaceable(path)
        # Through a symbolic link: the link stays, and its target is replaced.
        self._path = path and Path(os.path.realpath(path))
        self._written = False
        self.meters = Meters()
        self.latest: Report | None = None

    def report(self, *, healthy: bool, state: str, kind: State | None = None) -> None:
        """Write `state`, one sentence, and what kind of state it is. By default that follows from `healthy`.

        Raises Misconfigured if the file could never be written.
        """
        state = state.encode(errors="backslashreplace").decode()  # an error may quote a name that is no UTF-8
        kind = kind or (State.WORKING if healthy else State.TROUBLED)
        metrics = self.meters.samples()
        # Nothing is validated: a topic may have thousands of partitions, with three numbers each.
        self.latest = Report.model_construct(at=time.time(), healthy=healthy, state=state, kind=kind, metrics=metrics)
        if self._path is None:
            return
        try:
            _replace(self._path, self.latest.model_dump_json())
        except OSError as error:
            sentence = f"PROJECTOR_HEALTH_FILE: {self._path} cannot be written: {error.strerror}"
            if not self._written:
                raise Misconfigured(sentence) from error
            log.warning(sentence)  # it worked before: a full disk is no reason to stop projecting
        else:
            self._written = True


def _replace(path: Path, content: str) -> None:
    """Replace a file as a whole: a reader must never see half a report. No other file is overwritten."""
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        with beside.open("x") as file:
            file.write(content)
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def require_replaceable(path: Path) -> None:
    """Raise Misconfigured unless the path has a report, an empty file or nothing."""
    try:
        if not path.exists() or (path.is_file() and (path.stat().st_size == 0 or _read(path))):
            return
    except ValueError:
        pass
    except OSError as error:
        raise Misconfigured(f"PROJECTOR_HEALTH_FILE: {path} cannot be read: {error.strerror}") from error
    raise Misconfigured(
        f"PROJECTOR_HEALTH_FILE: {path} exists and is not a health report of `projector run`, which would replace it: "
        "name another file, or delete this one"
    )


def _read(path: Path) -> Report:
    """The report. Raises OSError, and ValueError if the file has something else."""
    if path.exists() and not path.is_file():  # a pipe would never end
        raise ValueError("no regular file")
    with path.open("rb") as file:
        return Report.model_validate_json(file.read(_MAX_BYTES))


def check(path: Path | None) -> str:
    """The last reported state. Raises ProjectorError if it is unhealthy or older than FRESH_SECONDS.

    A report of later than now is an error too: the clock was set back, and its age is unknown.
    """
    if path is None:
        raise Misconfigured("PROJECTOR_HEALTH_FILE is not set: set it for `projector run` and for this command")
    try:
        report = _read(path)
    except OSError as error:
        raise ProjectorError(f"no report of a running projector at {path}: {error.strerror}") from error
    except ValueError as error:
        raise ProjectorError(f"no report of a running projector at {path}: the file has something else") from error
    age = time.time() - report.at
    if age < -FRESH_SECONDS:
        raise ProjectorError(f"the last report is of {-age:.0f} seconds later than now: {report.state}")
    if age > FRESH_SECONDS:
        raise ProjectorError(f"the last report is {age:.0f} seconds old: {report.state}")
    if not report.healthy:
        raise ProjectorError(report.state)
    return report.state


def latest(path: Path) -> Report | None:
    """The report in a file, or None if there is none that can be read."""
    try:
        return _read(path)
    except (OSError, ValueError):
        return None
