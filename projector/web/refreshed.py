"""A value that a thread computes again and again, so that no page waits for it."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Generic, NamedTuple, TypeVar

from projector.errors import ProjectorError

log = logging.getLogger(__name__)

ValueT = TypeVar("ValueT")


class Snapshot(NamedTuple, Generic[ValueT]):
    """The latest value and its time, both None before the first. `error`: why the latest attempt gave none."""

    value: ValueT | None = None
    at: datetime | None = None
    error: str | None = None


_SOONEST_SECONDS = 5.0
_SHARE = 200
"""Computing a slow value takes at most one part in 200 of the time."""


class Refreshed(Generic[ValueT]):
    """Computes a value every `seconds`, and sooner while that is cheap. An error is kept beside the value of before."""

    def __init__(self, name: str, compute: Callable[[], ValueT], seconds: float) -> None:
        self.snapshot: Snapshot[ValueT] = Snapshot()
        self._compute = compute
        self._seconds = seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin in a thread of its own."""
        self._thread.start()

    def stop(self, within_seconds: float = 2.0) -> None:
        """End after the current computation. One that takes longer ends with the process."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(within_seconds)

    def refresh(self) -> None:
        """Compute once."""
        try:
            self.snapshot = Snapshot(self._compute(), datetime.now(UTC))
        except ProjectorError as error:
            if self.snapshot.error is None:
                fields = {"value": self._thread.name, "reason": error}
                log.warning("a value of the dashboard is not refreshed", extra=fields)
            self.snapshot = self.snapshot._replace(error=str(error))
        except Exception as error:
            log.exception("a value of the dashboard cannot be computed", extra={"value": self._thread.name})
            self.snapshot = self.snapshot._replace(error=f"{type(error).__name__}: the log has the details")

    def _run(self) -> None:
        while not self._stopped.is_set():
            began = time.monotonic()
            self.refresh()
            self._stopped.wait(pause(time.monotonic() - began, self._seconds))


def pause(took: float, at_most: float) -> float:
    """Seconds until a value is computed again, which `took` this time, in seconds; `at_most` is the longest pause."""
    return min(at_most, max(_SOONEST_SECONDS, took * _SHARE))
