"""A look at what of the log waits behind the positions."""

import time
from collections.abc import Mapping
from typing import NamedTuple

from projector.broker import SourceSettings, Span
from projector.topic import Topic, open_topic

LOOK_SECONDS = 2.0
_LOOK_BYTES = 64 * 1024


class Unread(NamedTuple):
    """What a partition's log holds, and the timestamp in ms of the first record behind a position, where one is."""

    span: Span
    first_timestamp: int | None


def unread(settings: SourceSettings, positions: Mapping[int, int]) -> dict[int, Unread]:
    """What each partition's log holds and what of it waits behind these positions; where there is none, all of it.

    Joins no group. Raises BrokerAway where Kafka or the topic is not there, Misconfigured where we are turned away.
    """
    with open_topic(settings, fetch_bytes=_LOOK_BYTES) as topic:
        held = topic.spans()
        starts = {partition: max(positions.get(partition, 0), span.beginning) for partition, span in held.items()}
        behind = {partition: Span(start, held[partition].end) for partition, start in starts.items()}
        first = _first_timestamps(topic, behind)
        return {partition: Unread(span, first.get(partition)) for partition, span in held.items()}


def _first_timestamps(topic: Topic, behind: Mapping[int, Span]) -> dict[int, int]:
    """Partition → timestamp of the first record within these offsets, if it comes within two seconds."""
    found: dict[int, int] = {}
    wanted = sum(span.beginning < span.end for span in behind.values())
    until = time.monotonic() + LOOK_SECONDS
    for polled in topic.read(behind) if wanted else ():
        for part in polled:
            if part.records and part.records[0].timestamp is not None:
                found.setdefault(part.partition, part.records[0].timestamp)
        if len(found) == wanted or time.monotonic() > until:
            break
    return found
