"""`projector replay --dry-run`: reads and translates recordings, and counts. It needs no database."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from projector.domain.fold import DeadLetter, translate_batch
from projector.domain.outcomes import Outcome
from projector.projection.batch import chunks
from projector.projection.transaction import Outcomes
from projector.recordings.file import open_file
from projector.recordings.replay import Opener, Source, check, place
from projector.settings import BatchLimits

MAX_REASONS = 1_000
OTHER_REASONS = "other reasons"


class Cause(NamedTuple):
    """Why records would be dead letters."""

    reason: str
    field: str | None


class Preview:
    """What a replay would project, as far as the files show it."""

    def __init__(self) -> None:
        self.records = 0
        self.events = 0
        """Records about a delegation. Their outcomes depend on the view."""
        self.outcomes: Outcomes = Counter()
        """The outcomes of the other records."""
        self.causes: Counter[Cause] = Counter()
        """At most `MAX_REASONS`, then one for all others."""
        self.first: dict[Cause, str] = {}
        """Where the first record of each cause is."""


def preview(
    paths: Iterable[Path],
    *,
    limits: BatchLimits,
    max_dead_letters: int | None = None,
    opened: Opener = open_file,
    progress: Callable[[int], object] = lambda records: None,
) -> Preview:
    """Check all files as `check`, and read and translate all records. `progress` gets the number of records so far."""
    found = Preview()
    for source in [check(path, max_dead_letters) for path in paths]:
        for batch in chunks(source.read(opened), limits):
            translated = translate_batch(batch)
            found.records += len(batch)
            found.events += len(translated.records)
            found.outcomes += translated.outcomes
            for letter in translated.dead_letters:
                _count(found, letter, source)
            progress(found.records)
    return found


def _count(found: Preview, letter: DeadLetter, source: Source) -> None:
    cause = Cause(letter.reason, letter.field)
    if cause not in found.causes and len(found.causes) >= MAX_REASONS:
        cause = Cause(OTHER_REASONS, None)
    found.outcomes[Outcome.DEAD_LETTER] += 1
    found.causes[cause] += 1
    found.first.setdefault(cause, place(letter.record, source.path))
