"""Redaction under the key of the tests, and how records end."""

import base64
import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from builders import InMemoryView, record
from strategies import written

from projector.contract import strict_json
from projector.contract.unreadable import Unreadable
from projector.recordings.file import RecordedRecord
from projector.recordings.redaction import Redaction

REDACTION = Redaction(b"the key of these tests")
SECRET = 'Zwei Geheimnisse: \u00e4\u4e2d\U0001f600 and "pear"\n'
WHOLE_PREVIEW = 4093
"""The fewest bytes of a preview that was cut: a character of four bytes is not cut inside."""


def redacted_bytes(content: bytes) -> bytes:
    redacted = REDACTION.redacted(record(content)).value
    assert redacted is not None
    return redacted


def redacted(value: object) -> Any:
    """A value as it is redacted, parsed again."""
    return strict_json.loads(redacted_bytes(written(value)))


def readable(value: object) -> Iterator[str]:
    """Every text that a person can read in a value: names, texts, and what is in texts of JSON and of base64."""
    if isinstance(value, dict):
        for name, content in value.items():
            yield name
            yield from readable(content)
    elif isinstance(value, list):
        for content in value:
            yield from readable(content)
    elif isinstance(value, bytes):
        yield value.decode(errors="replace")
        yield from _parsed(value[value.find(b"{") :] if value[:1] == b"\0" else value)
    elif isinstance(value, str):
        yield value
        yield from _parsed(value)
        with contextlib.suppress(ValueError):  # it is no base64
            yield from readable(base64.b64decode(value, validate=True))


def _parsed(text: str | bytes) -> Iterator[str]:
    with contextlib.suppress(Unreadable):
        yield from readable(strict_json.loads(text))


def endings(records: Sequence[RecordedRecord]) -> list[tuple[Any, ...]]:
    """For each record its outcome, the field of its dead letter, and all state after it that a rule reads."""
    memory, found = InMemoryView(), list[tuple[Any, ...]]()
    for each in records:
        outcomes = memory.project([each])
        dead = [letter.field for letter in memory.dead_letters]
        parked = [(at, getattr(each.event, "silent_since", None)) for at, each in sorted(memory.parked.items())]
        known = sorted(memory.large_rows.items()), sorted(memory.repeated.items())
        found.append((outcomes, dead, known, parked, rows(memory)))
        memory.dead_letters.clear()
    return found


def rows(memory: InMemoryView) -> list[tuple[Any, ...]]:
    """The rows with the sizes of their previews; the outcomes show which idempotency keys are equal."""
    previews = ("task_preview", "result_preview", "error_detail")
    return [
        tuple(
            min(len(content.encode()), WHOLE_PREVIEW) if content and name in previews else content
            for name, content in row._replace(idempotency_key=None)._asdict().items()
        )
        for row in memory.rows.values()
    ]
