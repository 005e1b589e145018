"""How a worker is doing: its health file, its summary, and partitions that make no progress."""

import logging
import os
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, FiniteFloat

from projector.domain.outcomes import Outcome
from projector.errors import Misconfigured, ProjectorError
from projector.kafka.compaction import MissingRecords
from projector.worker.dead_letters import DeadLetterReasons
from projector.worker.metrics import Meters, Sample

log = logging.getLogger(__name__)

FRESH_SECONDS = 30.0
"""An older report means that the process hangs: no statement may take longer."""
_MAX_BYTES = 1024 * 1024
"""A larger file is no report. A state quotes errors, which are short; a topic has at most thousands of partitions."""


class Report(BaseModel):
    """`at`: seconds since 1970. `state`: one sentence. A release before this one writes no metrics."""

    at: FiniteFloat
    healthy: bool
    state: str
    metrics: list[Sample] = []


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

    def report(self, *, healthy: bool, state: str) -> None:
        """Write `state`, one sentence. Raises Misconfigured if the file could never be written."""
        self.latest = Report(at=time.time(), healthy=healthy, state=state, metrics=self.meters.samples())
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


class Summary:
    """Counts outcomes and missing records, and logs how many were added since the last summary."""

    def __init__(self) -> None:
        self.dead_letters = DeadLetterReasons()
        self.outcomes: Counter[Outcome] = Counter()
        self.missing = MissingRecords()
        self._logged_missing = 0
        self._logged_at = time.monotonic()
        self._logged: Counter[Outcome] = Counter()

    @property
    def age_seconds(self) -> float:
        """Time since the last summary."""
        return time.monotonic() - self._logged_at

    def log(self, message: str) -> None:
        """Log the outcomes since the last call, and start again."""
        counts = {str(outcome): self.outcomes[outcome] - self._logged[outcome] for outcome in Outcome}
        fields = {"seconds": round(self.age_seconds, 1), "records": sum(counts.values())}
        counts["missing"] = self.missing.count - self._logged_missing
        self._logged_at, self._logged = time.monotonic(), Counter(self.outcomes)
        self._logged_missing = self.missing.count
        reasons = self.dead_letters.take_counts()
        counted = {outcome: count for outcome, count in counts.items() if count}
        log.info(message, extra={**fields, **counted, **({"dead_letter_reasons": reasons} if reasons else {})})


class StallDetector:
    """Finds positions that did not move for longer than a limit. Each is then watched from the start again."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._seen: dict[int, tuple[int, float]] = {}

    def stalled(self, positions: Mapping[int, int], at: float) -> list[int]:
        """Look at positions (partition → offset) at a time of a monotonic clock. Returns the stalled partitions."""
        before, self._seen = self._seen, {}
        stalled = []
        for partition, offset in positions.items():
            seen_offset, since = before.get(partition, (offset, at))
            if seen_offset != offset:
                since = at
            elif at - since > self._seconds:
                stalled.append(partition)
                since = at
            self._seen[partition] = (offset, since)
        return stalled

    def reset(self) -> None:
        """Watch every position from the start again."""
        self._seen.clear()


def latest(path: Path) -> Report | None:
    """The report in a file, or None if there is none that can be read."""
    try:
        return _read(path)
    except (OSError, ValueError):
        return None
