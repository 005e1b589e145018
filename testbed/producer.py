"""Sends the records of the simulated platform to a real broker, and records what was acknowledged, for the oracle.

kafka-python's producer is idempotent, retries for ever and has one request in flight per partition. So a retry after a
restart of the broker neither duplicates nor reorders records. In two cases the recording would be wrong:

- A batch that reaches the delivery timeout may be in the topic all the same. The timeout is long, and reaching it
  raises an error.
- A restarted broker expires producers by the age of their *records* (`producer.id.expiration.ms`, one day). With old
  timestamps, a batch whose answer was lost is then twice in the topic, and only the second copy is recorded (seen after
  3 of 8 kills; after none of 8 with records of the last hour). It changes counters, never the table. A test that kills
  brokers and counts outcomes must give the workload a recent `start`.
"""

import argparse
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

from testbed.recording import AcknowledgedRecord, open_recording, to_line
from testbed.workload import Mix, Record, partition_of, records

DELIVERY_TIMEOUT_MS = 600_000
MAX_UNACKNOWLEDGED = 20_000


def publish(
    log: Iterable[Record],
    *,
    bootstrap_servers: str,
    topic: str,
    on_acknowledged: Callable[[AcknowledgedRecord], object],
    per_second: float | None = None,
    stop: threading.Event | None = None,
) -> int:
    """Send records in order until they end or `stop` is set; returns the number of acknowledged records.

    Calls `on_acknowledged` for each of them, in order. Raises the client's error for a record that was not delivered,
    since the recording would be wrong after it.
    """
    unacknowledged: deque[tuple[Record, Any]] = deque()
    count = 0
    with closing(connect(bootstrap_servers)) as producer:
        partitions = len(producer.partitions_for(topic))
        for record in paced(log, per_second, stop or threading.Event()):
            partition = partition_of(record.key, partitions)
            sent = producer.send(topic, record.value, record.key, partition=partition, timestamp_ms=record.timestamp)
            unacknowledged.append((record, sent))
            count += _collect(unacknowledged, on_acknowledged, at_most=MAX_UNACKNOWLEDGED)
        producer.flush()
        return count + _collect(unacknowledged, on_acknowledged, at_most=0)


def connect(bootstrap_servers: str, *, compression: str | None = None) -> Any:
    """Return an idempotent producer that retries for `DELIVERY_TIMEOUT_MS`."""
    return KafkaProducer(
        bootstrap_servers=bootstrap_servers,
        compression_type=compression,
        acks="all",
        enable_idempotence=True,
        delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
        max_block_ms=DELIVERY_TIMEOUT_MS,
        request_timeout_ms=10_000,
        reconnect_backoff_max_ms=1000,
        batch_size=131_072,
        linger_ms=5,
        max_request_size=16_777_216,  # rows can be large
        allow_auto_create_topics=False,
    )


def paced(log: Iterable[Record], per_second: float | None, stop: threading.Event) -> Iterator[Record]:
    """Yield the records, none earlier than the rate allows."""
    started = time.monotonic()
    for number, record in enumerate(log):
        ahead = 0.0 if per_second is None else started + number / per_second - time.monotonic()
        # not for shorter waits: they last as long as a tick of the scheduler, and the rate would vary
        if stop.wait(ahead) if ahead > 0.01 else stop.is_set():
            return
        yield record


def _collect(
    unacknowledged: deque[tuple[Record, Any]], on_acknowledged: Callable[[AcknowledgedRecord], object], *, at_most: int
) -> int:
    """Take acknowledged records, oldest first; blocks only while more than `at_most` are unacknowledged."""
    count = 0
    while unacknowledged and (len(unacknowledged) > at_most or unacknowledged[0][1].is_done):
        record, sent = unacknowledged.popleft()
        place = sent.get(DELIVERY_TIMEOUT_MS / 1000)
        on_acknowledged(
            AcknowledgedRecord(place.topic, place.partition, place.offset, record.timestamp, record.key, record.value)
        )
        count += 1
    return count


def main() -> None:
    """Simulate a platform in its own process; SIGTERM shuts it down with a complete recording."""
    arguments = _arguments()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    mix = Mix(delegations=arguments.delegations, seed=arguments.seed, start=arguments.start)
    with open_recording(arguments.into, "w") as recording:
        count = publish(
            records(mix),
            bootstrap_servers=arguments.bootstrap_servers,
            topic=arguments.topic,
            on_acknowledged=lambda record: recording.write(to_line(record)),
            per_second=arguments.per_second,
            stop=stop,
        )
    print(f"{count} records acknowledged, recorded in {arguments.into}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m testbed.producer", description=main.__doc__)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", default="activity-log")
    parser.add_argument("--delegations", type=int, default=Mix().delegations)
    parser.add_argument("--seed", type=int, default=Mix().seed)
    parser.add_argument("--start", type=datetime.fromisoformat, default=Mix().start, help="time of the first record")
    parser.add_argument("--per-second", type=float, help="records per second (default: no limit)")
    parser.add_argument("--into", type=Path, required=True, help="file for the recording of acknowledged records")
    return parser.parse_args()


if __name__ == "__main__":
    main()
