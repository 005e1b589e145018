"""Sends a platform's records to a real broker, and keeps its own books of what was acknowledged, for the judge.

kafka-python's producer is idempotent, retries for ever and has one request in flight for each partition, so what it
sends again after a broker's restart is neither doubled nor out of order. Two exceptions would make the books wrong:

- A batch that reaches the delivery timeout may be in the log all the same: the timeout is far off, and reaching it
  raises.
- A restarted broker forgets producers by the age of their *records* (`producer.id.expiration.ms`, a day). With old
  timestamps, a batch whose answer got lost is then in the log twice, and only the second copy in the books (seen after
  3 of 8 kills; after none of 8 with records of the last hour). It changes counters, never the table; whoever kills
  brokers and counts outcomes gives the platform a recent `start`.
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

DELIVERED_WITHIN_MS = 600_000
UNANSWERED_AT_MOST = 20_000


def publish(
    log: Iterable[Record],
    *,
    bootstrap_servers: str,
    topic: str,
    keep: Callable[[AcknowledgedRecord], object],
    per_second: float | None = None,
    stop: threading.Event | None = None,
) -> int:
    """Sends records in order until they end or `stop` is set; `keep` gets each acknowledged one. Returns how many.

    Raises whatever the client raises for a record that it could not deliver: the books would be wrong after it.
    """
    unanswered: deque[tuple[Record, Any]] = deque()
    count = 0
    with closing(connect(bootstrap_servers)) as producer:
        partitions = len(producer.partitions_for(topic))
        for record in paced(log, per_second, stop or threading.Event()):
            partition = partition_of(record.key, partitions)
            sent = producer.send(topic, record.value, record.key, partition=partition, timestamp_ms=record.timestamp)
            unanswered.append((record, sent))
            count += _settle(unanswered, keep, leaving=UNANSWERED_AT_MOST)
        producer.flush()
        return count + _settle(unanswered, keep, leaving=0)


def connect(bootstrap_servers: str) -> Any:
    return KafkaProducer(
        bootstrap_servers=bootstrap_servers,
        acks="all",
        enable_idempotence=True,
        delivery_timeout_ms=DELIVERED_WITHIN_MS,
        max_block_ms=DELIVERED_WITHIN_MS,
        request_timeout_ms=10_000,
        reconnect_backoff_max_ms=1000,
        batch_size=131_072,
        linger_ms=5,
        max_request_size=16_777_216,  # a row may be large
        allow_auto_create_topics=False,
    )


def paced(log: Iterable[Record], per_second: float | None, stop: threading.Event) -> Iterator[Record]:
    """The records, each no earlier than the rate allows."""
    began = time.monotonic()
    for number, record in enumerate(log):
        ahead = 0.0 if per_second is None else began + number / per_second - time.monotonic()
        # a wait shorter than a scheduler's tick would make the rate a matter of luck
        if stop.wait(ahead) if ahead > 0.01 else stop.is_set():
            return
        yield record


def _settle(
    unanswered: deque[tuple[Record, Any]], keep: Callable[[AcknowledgedRecord], object], *, leaving: int
) -> int:
    """Books what is acknowledged, oldest first; waits only while more than `leaving` are without an answer."""
    count = 0
    while unanswered and (len(unanswered) > leaving or unanswered[0][1].is_done):
        record, sent = unanswered.popleft()
        at = sent.get(DELIVERED_WITHIN_MS / 1000)
        keep(AcknowledgedRecord(at.topic, at.partition, at.offset, record.timestamp, record.key, record.value))
        count += 1
    return count


def main() -> None:
    """Plays a platform as a process of its own: SIGTERM ends it in good order, with its books complete."""
    arguments = _arguments()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    mix = Mix(delegations=arguments.delegations, seed=arguments.seed, start=arguments.start)
    with open_recording(arguments.into, "w") as books:
        count = publish(
            records(mix),
            bootstrap_servers=arguments.bootstrap_servers,
            topic=arguments.topic,
            keep=lambda record: books.write(to_line(record)),
            per_second=arguments.per_second,
            stop=stop,
        )
    print(f"{count} records acknowledged, kept in {arguments.into}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m projector.demo.producer", description=main.__doc__)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", default="activity-log")
    parser.add_argument("--delegations", type=int, default=Mix().delegations)
    parser.add_argument("--seed", type=int, default=Mix().seed)
    parser.add_argument("--start", type=datetime.fromisoformat, default=Mix().start, help="time of the first record")
    parser.add_argument("--per-second", type=float, help="records a second; as fast as it goes without")
    parser.add_argument("--into", type=Path, required=True, help="the recording of what was acknowledged")
    return parser.parse_args()


if __name__ == "__main__":
    main()
