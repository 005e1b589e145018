"""Brokers that cannot be reached while others can: the partitions that they lead get no records."""

import logging

log = logging.getLogger(__name__)


class Brokers:
    """Logs a change, and keeps the sentence for the health report."""

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
