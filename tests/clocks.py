"""A clock that a test sets."""


class Clock:
    """Returns `at`, in seconds."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at
