"""Standing still: a partition whose position does not move while others might think that it is read."""

from collections.abc import Mapping


class Standstill:
    """Tells which positions stood still for longer than so many seconds; those are then watched anew."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._stood: dict[int, tuple[int, float]] = {}

    def seen(self, positions: Mapping[int, int], at: float) -> list[int]:
        """Look at the positions (partition → offset) at a moment of a monotonic clock; the partitions that stand."""
        before, self._stood = self._stood, {}
        standing = []
        for partition, offset in positions.items():
            stood_at, since = before.get(partition, (offset, at))
            if stood_at != offset:
                since = at
            elif at - since > self._seconds:
                standing.append(partition)
                since = at
            self._stood[partition] = (offset, since)
        return standing

    def forget(self) -> None:
        """Watch every position anew."""
        self._stood.clear()
