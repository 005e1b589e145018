"""`projector replay`: recordings through the same fold and the same transactions as the log, without a position."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from projector import recording
from projector.projection import Outcomes, project
from projector.recording import Line
from projector.session import Connection


def replay(
    conn: Connection,
    paths: Iterable[Path],
    *,
    batch_records: int,
    batch_bytes: int,
    opened: Callable[[Path], IO[bytes]] = recording.open_file,
    progress: Callable[[int], object] = lambda records: None,
) -> Outcomes:
    """Project recordings one after the other; how their records ended. `progress` hears how many are done so far.

    A replay that was interrupted is simply run again: what it did already is then a duplicate.
    """
    outcomes: Outcomes = Counter()
    for path in paths:
        for batch in _pieces(recording.read(path, opened), batch_records, batch_bytes):
            outcomes += project(conn, batch)
            progress(outcomes.total())
    return outcomes


def _pieces(records: Iterable[Line], most_records: int, most_bytes: int) -> Iterator[list[Line]]:
    piece: list[Line] = []
    size = 0
    for record in records:
        weight = len(record.value or b"")
        if piece and (len(piece) >= most_records or size + weight > most_bytes):
            yield piece
            piece, size = [], 0
        piece.append(record)
        size += weight
    if piece:
        yield piece
