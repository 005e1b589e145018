"""`projector replay`: projects recordings with the same fold and transactions as the topic, but moves no position."""

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
    """Project recordings one after the other and return the outcomes of their records.

    `progress` gets the number of records so far. After an interruption, run the replay again from the start: records
    that were applied before end as duplicates.
    """
    outcomes: Outcomes = Counter()
    for path in paths:
        for batch in chunks(read_recording(path, opened), limits):
            outcomes += project(conn, batch)
            progress(outcomes.total())
    return outcomes
