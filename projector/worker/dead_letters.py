"""Dead letters in the log of `run`: the first of each reason, then a count per reason."""

import logging
import re
from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from projector.domain.fold import DeadLetter

log = logging.getLogger(__name__)

OTHER = "other reasons"
_MAX_REASONS = 50
_MAX_CHARACTERS = 120
_FOUND = ": found "
"""Between what was expected, whose numbers are the same for each record, and the value of the record."""
_QUOTED = re.compile(r'\(.*\)|"(?:\\.|[^"\\])*"?', re.DOTALL)
"""Values of a row, and quoted texts."""
_NUMBER = re.compile(r"\d+")
_ROW = re.compile(r"\(.*\)(?=[^()]* \(SQLSTATE)", re.DOTALL)
"""The values of a row, in an error of Postgres. Other reasons quote at most 60 characters of a record."""


class Reasoned(Protocol):
    """A dead letter, or several with one reason."""

    @property
    def reason(self) -> str: ...
    @property
    def field(self) -> str | None: ...


class DeadLetterReasons:
    """Counts at most 50 reasons apart. All others are one: `OTHER`."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._counts: Counter[str] = Counter()

    def log(self, letters: Iterable[DeadLetter]) -> None:
        """Count dead letters that are written. Log each whose reason is new."""
        for letter in letters:
            reason = self._reason(letter)
            self._counts[reason] += 1
            if reason not in self._known:
                self._known.add(reason)
                _log_first(letter)

    def take_counts(self) -> dict[str, int]:
        """Reason → dead letters since the last call."""
        counts, self._counts = self._counts, Counter()
        return dict(counts.most_common())

    def _reason(self, letter: DeadLetter) -> str:
        reason = without_values(letter)
        return reason if reason in self._known or len(self._known) < _MAX_REASONS else OTHER


def _log_first(letter: DeadLetter) -> None:
    fields = {
        "topic": letter.record.topic,
        "partition": letter.record.partition,
        "offset": letter.record.offset,
        "field": letter.field,
        "reason": _ROW.sub("(…)", letter.reason),
    }
    log.warning("first dead letter of this reason", extra=fields)


def without_values(letter: Reasoned) -> str:
    """The reason without what it quotes of the record, with the field if the reason does not name it."""
    expected, found, _ = letter.reason.partition(_FOUND)
    reason = _QUOTED.sub("…", expected)
    reason = f"{reason}…" if found else _NUMBER.sub("…", reason)
    if len(reason) > _MAX_CHARACTERS:
        reason = f"{reason[: _MAX_CHARACTERS - 1]}…"
    return reason if letter.field is None or letter.field in reason else f"{letter.field}: {reason}"
