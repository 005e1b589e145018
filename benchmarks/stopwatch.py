"""Charges every moment between start and stop to exactly one row, so that the rows add up."""

import functools
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from types import ModuleType
from typing import Any


class Stopwatch:
    """Charges time to the innermost timed function, and to the row `rest` outside of them."""

    def __init__(self, rest: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: Counter[str] = Counter()
        self._clock = clock
        self._rows = [rest]
        self._since = clock()
        self.began = self._since

    def stop(self) -> float:
        """Charge the time since the last change; returns the seconds since the start."""
        self._charge()
        return self._since - self.began

    def time(self, owner: ModuleType | type, name: str, row: str, row_if_empty: str | None = None) -> None:
        """Replace a function by a timed one; a call with an empty result can be charged to another row."""
        timed = getattr(owner, name)  # a renamed function raises here

        @functools.wraps(timed)
        def timing(*arguments: Any, **named: Any) -> Any:
            self._charge()
            self._rows.append(row)
            self.calls[row] += 1
            result: Any = None
            try:
                result = timed(*arguments, **named)
                return result
            finally:
                if row_if_empty and not result:
                    self._rows[-1] = row_if_empty
                self._charge()
                self._rows.pop()

        setattr(owner, name, timing)

    def _charge(self) -> None:
        now = self._clock()
        self.seconds[self._rows[-1]] += now - self._since
        self._since = now
