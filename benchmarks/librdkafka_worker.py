"""Polls a topic with confluent-kafka (librdkafka) and prints records per second; runs in the peers' environment.

Settings: `read_committed` and checksums, as the projector has them, and many records per call. The sizes of fetches
and queues are librdkafka's own: the projector's, and larger queues, were not faster. Each record's key and value become
Python objects, which are ignored. Fetches begin in the background with `assign`, so the time begins there.
"""

import json
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition  # type: ignore[import-not-found]

RECORDS_PER_CALL = 10_000


def main() -> None:
    """Read every record once."""
    topic, count, settings = json.loads(sys.argv[1])
    consumer = Consumer(settings)
    partitions = consumer.list_topics(topic, 30).topics[topic].partitions
    started, polled = time.monotonic(), 0
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    while polled < count:
        for message in (batch := consumer.consume(RECORDS_PER_CALL, 0.5)):
            if message.error():
                raise SystemExit(str(message.error()))
        polled += len(batch)
    print(polled / (time.monotonic() - started))
    consumer.close()


if __name__ == "__main__":
    main()
