"""A recording of a few values, and a database into which it is replayed by a command."""

import json
from pathlib import Path

from commands import run_projector
from rows import CALLER, answer, delegate

from projector.cli.exit_codes import DEAD_LETTERS
from projector.recordings.file import RecordedRecord, dumps

REQUEST = delegate(0, source_id=CALLER)


def recording(folder: Path, *values: object) -> Path:
    """Write a recording of partition 0, one record per value."""
    file = folder / "recording.jsonl"
    contents = [value if isinstance(value, bytes) else json.dumps(value).encode() for value in values]
    lines = [RecordedRecord("activity-log", 0, n, 1_777_975_200_123, b"c1", value) for n, value in enumerate(contents)]
    file.write_bytes(b"".join(map(dumps, lines)))
    return file


def replay_letters(folder: Path, database_url: str) -> None:
    """Replay a request, an answer that is parked, and three dead letters at offsets 2 to 4."""
    dead = [b"no json", b"\xff\xfe", {"activity_type": "delegation", "method": "none"}]
    file = recording(folder, REQUEST, answer(1, "completed", of="d-2"), *dead)
    assert run_projector("replay", str(file), database_url=database_url).code == DEAD_LETTERS
