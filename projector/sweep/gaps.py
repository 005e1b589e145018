"""Gaps in the topic: for the sink `topic`, which has no table that shows when the platform was silent."""

from datetime import UTC, datetime, timedelta

from projector.kafka.reader import open_topic
from projector.settings import KafkaSettings

_PER_THRESHOLD = 4


def latest_gap_end(settings: KafkaSettings, *, now: datetime, threshold: timedelta) -> datetime | None:
    """When the latest long gap between the timestamps of the records ended; `now` if it lasts, None if there is none.

    Within two thresholds before now. A gap of more than half a threshold is found, one of up to a quarter is none:
    Kafka says which record comes next after each quarter, so no record is read. A record of any kind counts.
    Raises BrokerUnavailable.
    """
    step = threshold / _PER_THRESHOLD
    ended_at: datetime | None = None
    with open_topic(settings) as reader:
        for number in range(2 * _PER_THRESHOLD):
            at = now - 2 * threshold + number * step
            found = reader.next_timestamp(int(at.timestamp() * 1000))
            next_at = now if found is None else min(now, datetime.fromtimestamp(found / 1000, UTC))
            if next_at - at > step:
                ended_at = next_at
    return ended_at
