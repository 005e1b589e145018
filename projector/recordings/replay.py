"""`projector replay`: recordings through the same fold and the same transactions as the log, without a position."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

from projector.postgres.connection import Connection
from projector.projection.batch import chunks
from projector.projection.transaction import Outcomes, project
from projector.recordings.file import open_file, read_recording
from projector.settings import BatchLimits


def replay(
    conn: Connection,
    paths: Iterable[Path],
    *,
    limits: BatchLimits,
    opened: Callable[[Path], IO[bytes]] = open_file,
    progress: Callable[[int], object] = lambda records: None,
) -> Outcomes:
    """Project recordings one after the other; how their records ended. `progress` hears how many are done so far.

    A replay that was interrupted is simply run again: what it did already is then a duplicate.
    """
    outcomes: Outcomes = Counter()
    for path in paths:
        for batch in chunks(read_recording(path, opened), limits):
            outcomes += project(conn, batch)
            progress(outcomes.total())
    return outcomes
