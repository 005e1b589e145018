"""How long to wait before the next try of something that failed."""

import random
import time

FIRST_SECONDS = 1.0
MOST_SECONDS = 10.0
_FORGOTTEN_AFTER_SECONDS = 60.0


class Backoff:
    """Delays that double from `first_seconds` up to `most_seconds`. Each is shortened at random by up to a half.

    The random part keeps processes that failed at one moment from trying again at one moment. The first try needs no
    delay. After `succeeded`, or after a minute without a failure, the delays start again with the first one.
    """

    def __init__(self, first_seconds: float | None = None, most_seconds: float | None = None) -> None:
        self._first_seconds = FIRST_SECONDS if first_seconds is None else first_seconds
        self._most_seconds = max(MOST_SECONDS if most_seconds is None else most_seconds, self._first_seconds)
        self._delay_seconds = 0.0
        self._next_at = 0.0

    def failed(self) -> float:
        """Note a failure. Returns the seconds until the next try."""
        now = time.monotonic()
        if now - self._next_at > _FORGOTTEN_AFTER_SECONDS:
            self._delay_seconds = 0.0
        self._delay_seconds = min(2 * self._delay_seconds or self._first_seconds, self._most_seconds)
        seconds = self._delay_seconds * random.uniform(0.5, 1.0)
        self._next_at = now + seconds
        return seconds

    def succeeded(self) -> None:
        """Start again with the first delay at the next failure."""
        self._delay_seconds = 0.0

    @property
    def seconds_left(self) -> float:
        """Time until the next try. 0 if it is time for it."""
        return max(0.0, self._next_at - time.monotonic())
