"""The one way in which a record can fail to be understood."""


class Unreadable(Exception):
    """The record is a dead letter: `reason` is a sentence, `field` the path of the value at fault, if one is."""

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field
