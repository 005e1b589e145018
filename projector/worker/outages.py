"""Outages of Kafka and Postgres, in the log and in the health report."""

import logging
import re
import time
from dataclasses import dataclass, field

from projector.errors import Unavailable
from projector.worker.health import Health
from projector.worker.metrics import State

log = logging.getLogger(__name__)

_VARIABLE = re.compile(r"\S*\d\S*")
"""A word that has a digit, such as a port or a number of seconds: two reasons that differ only in it are the same."""
_MAX_REASONS = 20


@dataclass
class _Outage:
    reason: str = ""
    since: float = field(default_factory=time.monotonic)
    logged: set[str] = field(default_factory=set)

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self.since, 1)


class Outages:
    """Logs when an outage begins, each other reason once, and when it ends. Until then the report is unhealthy."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._open: dict[str, _Outage] = {}

    def begin(self, server: str, error: Unavailable) -> None:
        """`server` does not answer, or still does not."""
        outage = self._open.setdefault(server, _Outage())
        outage.reason = str(error)
        reason = _VARIABLE.sub("…", outage.reason)
        if not outage.logged:
            log.warning("waiting for %s", server, extra={"reason": outage.reason})
        elif reason not in outage.logged and len(outage.logged) < _MAX_REASONS:
            fields = {"reason": outage.reason, "after_seconds": outage.seconds}
            log.warning("still waiting for %s", server, extra=fields)
        outage.logged.add(reason)
        self.report()

    def end(self, server: str) -> None:
        """`server` answers."""
        if outage := self._open.pop(server, None):
            log.info("%s is back", server, extra={"after_seconds": outage.seconds})

    def report(self) -> None:
        """Report the open outages, if there are any."""
        if self._open:
            sentences = (f"waiting for {server}: {outage.reason}" for server, outage in self._open.items())
            self._health.report(healthy=False, state="; ".join(sentences), kind=State.WAITING)


class Brokers:
    """Logs which brokers cannot be reached while others can. The partitions that they lead get no records."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def look(self, unreachable: str | None) -> None:
        """`unreachable`: the sentence about the brokers that cannot be reached now, if there are any."""
        sentences = [unreachable] if unreachable else []
        if sentences and not self.sentences:
            log.warning("a broker cannot be reached", extra={"reason": unreachable})
        elif self.sentences and not sentences:
            log.info("each broker can be reached again")
        self.sentences = sentences
