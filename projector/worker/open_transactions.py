"""Open transactions that block records for a long time: no lag shows these records, and no restart helps."""

import logging
from collections.abc import Mapping

from projector.errors import ProjectorError
from projector.lag import OpenTransaction, open_transactions
from projector.settings import Settings
from projector.texts import counted
from projector.worker.stalls import StallDetector

log = logging.getLogger(__name__)

_SENTENCES = 3


class OpenTransactions:
    """Logs a transaction that is open for longer than `stalled_after_seconds`, and again after each such time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stalls = StallDetector(settings.stalled_after_seconds)
        self._found: dict[int, OpenTransaction] = {}

    def look(self, positions: Mapping[int, int], high_watermarks: Mapping[int, int], at: float) -> None:
        """Look at positions and high watermarks (partition → offset) at a time of a monotonic clock.

        A position that does not move must be at the last stable offset: `StallDetector` finds the others.
        """
        behind = {number: offset for number, offset in positions.items() if offset < high_watermarks.get(number, 0)}
        self._found = {number: each for number, each in self._found.items() if behind.get(number) == each.offset}
        stalled = self._stalls.stalled(behind, at)
        if not stalled:
            return
        found = self._find(
            {number: OpenTransaction(number, behind[number], high_watermarks[number]) for number in stalled}
        )
        for each in found.values():
            self._warn(each)
        self._found |= found

    def _find(self, stalled: Mapping[int, OpenTransaction]) -> dict[int, OpenTransaction]:
        """The transactions that are still open, with details from Kafka; if Kafka fails, without details."""
        try:
            found = open_transactions(self._settings)
        except ProjectorError as error:
            log.debug("cannot look for open transactions", extra={"reason": str(error)})
            return dict(stalled)
        return {number: found[number] for number in stalled if number in found}

    def _warn(self, found: OpenTransaction) -> None:
        fields = {
            "topic": self._settings.topic,
            "partition": found.partition,
            "offset": found.offset,
            "high_watermark": found.high_watermark,
            "waiting_offsets": found.waiting_offsets,
            "since": found.since and found.since.isoformat(),
            "transactional_id": found.transactional_id,
        }
        log.warning("records wait behind an open transaction", extra=fields)

    @property
    def sentences(self) -> list[str]:
        """One sentence per partition whose records wait. At most a few: a health report is short."""
        found = [str(each) for each in self._found.values()]
        more = [f"and {counted(len(found) - _SENTENCES, 'more partition')}"] if len(found) > _SENTENCES else []
        return [*found[:_SENTENCES], *more]
