"""Read models as JSON and as CSV."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""How a cell may begin that a spreadsheet computes; the last four where wide characters are usual."""


def plain(value: Any) -> Any:
    """A read model as values of JSON. Instants are in ISO 8601; a named tuple is an object."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(each) for name, each in value._asdict().items()}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(each) for each in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def as_json(value: Any) -> bytes:
    """The bytes of a JSON document. A lone surrogate becomes its escape."""
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


def as_csv(rows: Iterable[Any], columns: Iterable[str]) -> bytes:
    """A line of headings, and one line per row. No cell is a formula for a spreadsheet."""
    output = io.StringIO()
    writer = csv.writer(output)
    names = list(columns)
    writer.writerow(names)
    for row in rows:
        values = plain(row)
        writer.writerow([_cell(values[name]) for name in names])
    return output.getvalue().encode(errors="replace")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text
