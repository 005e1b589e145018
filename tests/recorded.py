"""The recorded change events and their expected tables. `python -m tests.recorded` recreates the tables."""

import hashlib
import json
from collections import Counter
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from testbed.oracle import Oracle, Row
from testbed.recording import read_recording

FOLDER = Path(__file__).parent.parent / "events" / "recorded"
RECORDINGS = sorted(FOLDER.glob("*.jsonl.gz"))
_WHOLE_UP_TO = 200
"""Characters up to which an expected table holds a whole text."""


def expected(recording: Path) -> Any:
    """The expected table of a recording: `outcomes`, `rows`, `parked` and `dead_letters`."""
    return json.loads(_expected_file(recording).read_text(encoding="utf-8"))


def as_expected(row: Row) -> dict[str, object]:
    """A row in the form of the expected table: times as ISO 8601, a long text as its start, size and SHA-256."""
    return {column: _shortened(value) for column, value in asdict(row).items()}


def fold_by_oracle(recording: Path) -> dict[str, object]:
    """The expected table as the independent oracle folds it, record by record in the order of the lines."""
    oracle = Oracle()
    outcomes = Counter(oracle.apply(record) for record in read_recording(recording))
    result = oracle.expected()
    return {
        "outcomes": dict(sorted(outcomes.items())),
        "rows": [as_expected(result.rows[delegation_id]) for delegation_id in sorted(result.rows)],
        "parked": dict(sorted(result.parked.items())),
        "dead_letters": sorted([letter.partition, letter.offset] for letter in result.dead_letters),
    }


def _expected_file(recording: Path) -> Path:
    return recording.with_name(recording.name.removesuffix(".jsonl.gz") + ".expected.json")


def _shortened(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and len(value) > _WHOLE_UP_TO:
        encoded = value.encode()
        return f"{value[:60]}… ({len(encoded)} bytes, SHA-256 {hashlib.sha256(encoded).hexdigest()})"
    return value


if __name__ == "__main__":
    for path in RECORDINGS:
        text = json.dumps(fold_by_oracle(path), indent=1, ensure_ascii=False) + "\n"
        _expected_file(path).write_text(text, encoding="utf-8")
