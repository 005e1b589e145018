"""`Unreadable`: the only error that reading a record can raise."""

import json


class Unreadable(Exception):
    """The record is a dead letter. `reason` is a sentence for people, `field` the path of the wrong value, if any."""

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field


def quoted(value: object, limit: int = 60) -> str:
    """A value as JSON, cut to `limit` characters, to be quoted in an error sentence."""
    text = json.dumps(value, default=str)
    return text if len(text) <= limit else text[:limit] + "…"
