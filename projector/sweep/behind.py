"""Whether the view is behind the topic: then its rows do not show the latest signs of life."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from projector.domain.positions import LogRange, Position
from projector.errors import TopicMissing
from projector.kafka.reader import open_topic
from projector.lag import log_gaps
from projector.postgres import positions
from projector.postgres.connection import Connection, mapped_errors
from projector.settings import KafkaSettings

WAIT_SECONDS = 10.0
_STEP_SECONDS = 0.2
_MOVED_WITHIN = timedelta(days=1)


def behind(view: Connection, settings: KafkaSettings, tick: Callable[[], None]) -> str | None:
    """Read where each topic ends, and wait until the positions are there; a sentence if they are not after 10 s.

    The topics are those of which a position moved within a day, and that of the settings. `tick` is called while it
    waits. Raises BrokerUnavailable if Kafka does not answer.
    """
    until = time.monotonic() + WAIT_SECONDS
    with mapped_errors():
        topics = positions.moved_topics(view, _MOVED_WITHIN) | {settings.topic}
    for topic in sorted(topics):
        if sentence := _behind(view, settings.model_copy(update={"topic": topic}), until, tick):
            return sentence
    return None


def _behind(view: Connection, settings: KafkaSettings, until: float, tick: Callable[[], None]) -> str | None:
    known = _positions(view, settings.topic)
    if not known:
        return None  # nothing of it was ever projected into this view
    try:
        with open_topic(settings) as reader:
            topic_id, ranges = reader.topic_id, reader.log_ranges()
    except TopicMissing:
        return None  # it was deleted, so no record of it is still to come
    if gaps := log_gaps(known, topic_id, ranges):
        return next(iter(gaps.values()))
    while (sentence := _lag(known, settings.topic, ranges)) and time.monotonic() < until:
        tick()
        time.sleep(_STEP_SECONDS)
        known = _positions(view, settings.topic)
    return sentence


def _positions(view: Connection, topic: str) -> dict[int, Position]:
    with mapped_errors():
        return positions.read(view, topic)


def _lag(known: Mapping[int, Position], topic: str, ranges: Mapping[int, LogRange]) -> str | None:
    """The first partition whose position is not at this end yet."""
    for partition, held in sorted(ranges.items()):
        offset = known[partition].offset if partition in known else held.beginning
        if offset < held.end:
            return f"partition {partition} of topic {topic} is projected up to offset {offset:,} of {held.end:,}"
    return None
