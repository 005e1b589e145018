"""Whose time it is: every moment between start and stop is charged to one row, so that the rows add up."""

import functools
import time
from collections import defaultdict
from collections.abc import Callable
from types import ModuleType
from typing import Any


class Stopwatch:
    """Charges the time to the innermost function that is timed, and to `rest` outside of all."""

    def __init__(self, rest: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._clock = clock
        self._rows = [rest]
        self._since = clock()
        self.began = self._since

    def stop(self) -> float:
        """Charge what is open; all the seconds since the start."""
        self._charge()
        return self._since - self.began

    def time(self, owner: ModuleType | type, name: str, row: str, row_if_empty: str | None = None) -> None:
        """Time a function in place; what it returns empty can be charged to another row."""
        timed = getattr(owner, name)  # one that is gone fails here, and not in silence

        @functools.wraps(timed)
        def timing(*arguments: Any, **named: Any) -> Any:
            self._charge()
            self._rows.append(row)
            found: Any = None
            try:
                found = timed(*arguments, **named)
                return found
            finally:
                if row_if_empty and not found:
                    self._rows[-1] = row_if_empty
                self._charge()
                self._rows.pop()

        setattr(owner, name, timing)

    def _charge(self) -> None:
        now = self._clock()
        self.seconds[self._rows[-1]] += now - self._since
        self._since = now
