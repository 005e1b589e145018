"""The one way in which a record can fail to be understood."""

import json


class Unreadable(Exception):
    """The record is a dead letter: `reason` is a sentence, `field` the path of the value at fault, if one is."""

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


def shown(value: object, limit: int = 60) -> str:
    """A value as JSON for a sentence, cut to `limit` characters."""
    text = json.dumps(value, default=str)
    return text if len(text) <= limit else text[:limit] + "…"
