"""Health: a file that a member rewrites every second, and what it tells an orchestrator that looks at it."""

import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

from projector.errors import Misconfigured, ProjectorError

log = logging.getLogger(__name__)

FRESH_SECONDS = 30.0
"""An older report is of a process that hangs: longer than any statement may take."""


class Health:
    """Writes the reports; to nowhere, where there is no file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._written = False

    def report(self, *, healthy: bool, state: str) -> None:
        """Say how it goes, in one sentence. Raises Misconfigured where the file could never be written."""
        if self._path is None:
            return
        beside = self._path.with_name(self._path.name + ".new")
        try:
            beside.write_text(json.dumps({"at": time.time(), "healthy": healthy, "state": state}))
            os.replace(beside, self._path)
        except OSError as error:
            sentence = f"PROJECTOR_HEALTH_FILE: {self._path} cannot be written: {error.strerror}"
            if not self._written:
                raise Misconfigured(sentence) from error
            log.warning(sentence)  # it could be once: a full disk is no reason to stop projecting
        else:
            self._written = True


def check(path: Path | None) -> str:
    """The state last reported; raises ProjectorError where it is not a healthy one, or old."""
    if path is None:
        raise Misconfigured("PROJECTOR_HEALTH_FILE is not set: set it for `projector run` and for this command")
    try:
        report = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ProjectorError(f"no report of a running projector at {path}: {error}") from error
    age = time.time() - report["at"]
    if age > FRESH_SECONDS:
        raise ProjectorError(f"the last report is {age:.0f} seconds old: {report['state']}")
    if not report["healthy"]:
        raise ProjectorError(report["state"])
    return str(report["state"])


class StallDetector:
    """Tells which positions stood still for longer than so many seconds; those are then watched anew."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._stood: dict[int, tuple[int, float]] = {}

    def seen(self, positions: Mapping[int, int], at: float) -> list[int]:
        """Look at the positions (partition → offset) at a moment of a monotonic clock; the partitions that stand."""
        before, self._stood = self._stood, {}
        standing = []
        for partition, offset in positions.items():
            stood_at, since = before.get(partition, (offset, at))
            if stood_at != offset:
                since = at
            elif at - since > self._seconds:
                standing.append(partition)
                since = at
            self._stood[partition] = (offset, since)
        return standing

    def forget(self) -> None:
        """Watch every position anew."""
        self._stood.clear()
