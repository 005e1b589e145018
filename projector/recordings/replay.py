"""`projector replay`: projects recordings with the same fold and transactions as the topic, but moves no position."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO, NamedTuple

from projector.contract.envelope import Record, open_value
from projector.contract.unreadable import Unreadable
from projector.domain.fold import DeadLetter, translate_batch, translate_each
from projector.domain.outcomes import Outcome
from projector.errors import Misconfigured, ProjectorError
from projector.postgres.connection import Connection
from projector.projection.batch import chunks
from projector.projection.limits import AdaptiveLimits
from projector.projection.transaction import Outcomes, PendingBatch
from projector.recordings.file import RecordedRecord, is_bare_line, open_file, read_recording
from projector.settings import BatchLimits
from projector.texts import counted

CHECKED_LINES = 100

Opener = Callable[[Path], IO[bytes]]


class Source(NamedTuple):
    """A file that was checked. At most `max_dead_letters` of its records may end as dead letters; None means any."""

    path: Path
    read: Callable[[Opener], Iterable[RecordedRecord]]
    max_dead_letters: int | None


def check(path: Path, max_dead_letters: int | None) -> Source:
    """Look for a record in the first 100 lines of a file. If there is none, the default of `max_dead_letters` is 0.

    Raises Misconfigured if more of these lines are no records, and what `read_recording` raises.
    """
    records = read_recording(path)
    start: list[RecordedRecord] = []
    dead: list[tuple[Record, str]] = []
    for record in islice(records, CHECKED_LINES):
        start.append(record)
        reason = _why_no_record(record, path)
        if reason is None:
            break
        dead.append((record, reason))
    if len(dead) == len(start):
        max_dead_letters = max_dead_letters or 0
        if len(dead) > max_dead_letters:
            raise Misconfigured(_no_recording(path, *dead[0], max_dead_letters))
    read = partial(read_recording, path) if _is_readable_twice(path) else lambda opener: chain(start, records)
    return Source(path, read, max_dead_letters)


def _why_no_record(record: Record, path: Path) -> str | None:
    """The reason if a line is neither a line of a recording nor an activity row in any envelope."""
    if is_bare_line(record, path):
        try:
            open_value(record.value)
        except Unreadable as error:
            return error.reason
    return None


def _no_recording(path: Path, record: Record, reason: str, limit: int) -> str:
    return (
        f"{place(record, path)} is no record: {reason}. None of its first {CHECKED_LINES} lines is one: is {path} a "
        f"recording? Nothing was written. To keep its lines as dead letters, set --max-dead-letters (now {limit})"
    )


def _is_readable_twice(path: Path) -> bool:
    """False for pipes, and for /dev/stdin, which some systems do not open at its beginning again."""
    return path.is_file() and Path("/dev") not in path.absolute().parents


def place(record: Record, path: Path) -> str:
    """Where a record of a file is: its line, or the coordinates that its line names."""
    if is_bare_line(record, path):
        return f"line {record.offset + 1} of {path}"
    return f"offset {record.offset} of partition {record.partition} of topic {record.topic} in {path}"


def replay(
    conn: Connection,
    paths: Iterable[Path],
    *,
    limits: BatchLimits,
    max_dead_letters: int | None = None,
    opened: Opener = open_file,
    progress: Callable[[int], object] = lambda records: None,
    written: Callable[[int], object] = lambda rows: None,
) -> Outcomes:
    """Check all files as `check`, project one after the other, and return the outcomes of their records.

    `progress` gets the number of records so far, and `written` the number of rows that a batch wrote. After an
    interruption, run the replay again from the start: records that were applied before end as duplicates. Raises what
    `check` raises, and ProjectorError before a batch with which a file would have more than `max_dead_letters`.
    """
    outcomes: Outcomes = Counter()
    adaptive = AdaptiveLimits(limits)
    for source in [check(path, max_dead_letters) for path in paths]:
        found = 0
        for batch in chunks(source.read(opened), adaptive):
            if source.max_dead_letters is not None:
                _require_at_most(source, translate_batch(batch).dead_letters, found, outcomes.total())
            pending = PendingBatch(conn, translate_each(batch), limits=adaptive)
            ended = pending.wait()
            written(pending.rows)
            found += ended[Outcome.DEAD_LETTER]
            outcomes += ended
            progress(outcomes.total())
    return outcomes


def _require_at_most(source: Source, dead: Sequence[DeadLetter], before: int, written: int) -> None:
    allowed = source.max_dead_letters
    if allowed is not None and dead and before + len(dead) > allowed:
        letter = dead[max(0, allowed - before)]
        raise ProjectorError(
            f"more than {allowed:,} dead letters (--max-dead-letters): stopped before "
            f"{place(letter.record, source.path)}: {letter.reason}. {counted(written, 'record')} projected before: "
            "correct the file and replay it whole, or allow more"
        )
