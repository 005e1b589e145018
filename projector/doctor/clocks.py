"""The clocks of this machine, of Postgres and of Kafka."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from projector.doctor.checks import Check, change, note, ok
from projector.domain.clocks import CLOCKS_DIFFER_BY
from projector.texts import duration

_NAME = "clocks"
_NOTED_SECONDS = 5.0


class Reading(NamedTuple):
    """The clock of a server, read between two readings of the clock of this machine. Seconds since 1970."""

    server: str
    at: float
    asked_at: float
    answered_at: float

    @property
    def ahead(self) -> float:
        """By how many seconds it is ahead of this machine at least; negative if it is behind. 0 if none is proved."""
        return max(0.0, self.at - self.answered_at) or min(0.0, self.at - self.asked_at)


def clocks(readings: Sequence[Reading], newest_record: float | None) -> Check:
    """Compare the clocks. `newest_record` is the latest timestamp in the topic, in seconds since 1970."""
    found = [_sentence(reading) for reading in readings]
    if not any(reading.server.startswith("Kafka") for reading in readings):
        found.append("Kafka's clock is unknown (its controller returns it to users that may describe the cluster)")
    future = 0.0 if newest_record is None else newest_record - time.time()
    if future > _NOTED_SECONDS:
        found.append(f"the newest record is {duration(future)} in the future: the clock of its producer is wrong")
    offsets = [0.0, *(reading.ahead for reading in readings)]
    apart = max(offsets) - min(offsets)
    limit = CLOCKS_DIFFER_BY.total_seconds()
    if apart > limit:
        return change(
            _NAME,
            "; ".join(found),
            f"synchronise the clocks (NTP): `rebuild` allows for {duration(limit)}, and lag and ages are wrong",
        )
    if max(apart, future) > _NOTED_SECONDS:
        return note(_NAME, "; ".join(found), "synchronise the clocks (NTP): lag and ages are wrong by the difference")
    return ok(_NAME, "; ".join(found) or "no other clock could be read")


def _sentence(reading: Reading) -> str:
    if abs(reading.ahead) <= _NOTED_SECONDS:
        return f"{reading.server} agrees with this machine"
    direction = "ahead of" if reading.ahead > 0 else "behind"
    return f"{reading.server} is {duration(abs(reading.ahead))} {direction} this machine"
