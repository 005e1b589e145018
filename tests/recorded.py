"""The recorded change events and their expected tables; `python tests/recorded.py` has the judge write these anew."""

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


def expected(recording: Path) -> Any:
    """What stands beside a recording: `outcomes`, `rows`, `parked` and `dead_letters`."""
    return json.loads(_beside(recording).read_text(encoding="utf-8"))


def shown(row: Row) -> dict[str, object]:
    """A row as the expected table holds it: times as ISO 8601, a long text as its start, its size and its SHA-256."""
    return {column: _shown(content) for column, content in asdict(row).items()}


def judged(recording: Path) -> dict[str, object]:
    """What the independent judge makes of a recording, record by record in the order of its lines."""
    judging = Oracle()
    outcomes = Counter(judging.see(record) for record in read_recording(recording))
    verdict = judging.verdict()
    return {
        "outcomes": dict(sorted(outcomes.items())),
        "rows": [shown(verdict.rows[delegation_id]) for delegation_id in sorted(verdict.rows)],
        "parked": dict(sorted(verdict.parked.items())),
        "dead_letters": sorted([letter.partition, letter.offset] for letter in verdict.dead_letters),
    }


def _beside(recording: Path) -> Path:
    return recording.with_name(recording.name.removesuffix(".jsonl.gz") + ".expected.json")


def _shown(content: object) -> object:
    if isinstance(content, datetime):
        return content.isoformat()
    if isinstance(content, str) and len(content) > _WHOLE_UP_TO:
        coded = content.encode()
        return f"{content[:60]}… ({len(coded)} bytes, SHA-256 {hashlib.sha256(coded).hexdigest()})"
    return content


if __name__ == "__main__":
    for each in RECORDINGS:
        text = json.dumps(judged(each), indent=1, ensure_ascii=False) + "\n"
        _beside(each).write_text(text, encoding="utf-8")
