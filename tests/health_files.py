"""The health file of a member, as a test reads it."""

import json
from pathlib import Path


def reported_healthy(file: Path) -> bool | None:
    """What a health file says; None if there is none yet."""
    return bool(json.loads(file.read_text())["healthy"]) if file.exists() else None
